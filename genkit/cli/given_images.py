"""Images that are given on the command line: read, varied, and joined by a line of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import click

from genkit.cli.sample_files import write_samples
from genkit.core.errors import DataError, GenkitError, kind_of
from genkit.core.files import read_regular

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from genkit.core.generator import Generator
    from genkit.vae.vae import VAE

IMAGE = click.Path(exists=True, dir_okay=False, path_type=Path)
STRIP = 32
"""Images of a strip in one row."""


def write_edited(
    generator: Generator,
    images: Sequence[Path],
    n: int,
    seed: int,
    out: Path,
    grid: bool,
    batch_size: int,
    weights: str,
    about: str,
    role: str,
) -> None:
    """Writes what `edited` makes, and with `grid` its picture, see `beside_given`."""
    import torch

    given = given_images(generator, images, role)
    made = edited(generator, given, n, batch_size, torch.Generator().manual_seed(seed))  # type: ignore[arg-type]
    write_samples(made, n, batch_size, generator, out, grid, weights, about, partial(beside_given, given))


def beside_given(given: Sequence[Tensor], made: Tensor) -> Tensor:
    """One picture: an image and its variations, or a strip from one image to the other."""
    import torch

    from genkit.images.grid import grid

    first, *last = (image[None].to(made) for image in given)
    return grid(torch.cat([first, made, *last]), min(len(made) + 2, STRIP) if last else None)


def edited(generator: VAE, given: Sequence[Tensor], n: int, batch_size: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Batches of n variations of one image, or of a straight line between two."""
    from genkit.vae.variations import between, variations

    if len(given) == 2:
        return iter(between(generator, given[0], given[1], n, rng).split(batch_size))
    sizes = (min(batch_size, n - start) for start in range(0, n, batch_size))
    return (variations(generator, given[0], size, rng) for size in sizes)


def given_images(generator: Generator, images: Sequence[Path], role: str) -> list[Tensor]:
    """The images of files, as `generator` encodes them.

    Args:
        role: name of the command or option, for messages.

    Raises:
        GenkitError: a generator that is no VAE.
        DataError: a file that is no image.
    """
    if not takes_images(generator):
        raise GenkitError(f"{role} needs a VAE, which encodes images; this is {kind_of(generator)}")
    return [read_image(path, generator) for path in images]


def takes_images(generator: Generator) -> TypeGuard[VAE]:
    """Whether it encodes images, so that they can be varied."""
    from genkit.vae.vae import VAE

    return isinstance(generator, VAE)


def content(path: Path) -> bytes:
    try:
        return read_regular(path)
    except DataError as refused:
        raise DataError(f"{path} {refused}; give an image file") from refused
    except OSError as failure:
        raise DataError(f"{path} cannot be read ({failure.strerror or failure}); give an image file") from failure


def read_image(path: Path, generator: Any) -> Tensor:
    """The middle square of an image file in the generator's shape, (C, H, W) in [-1, 1].

    Raises:
        DataError: it is no image.
    """
    from genkit.images import pixels as images

    channels, height, width = generator.sample_shape
    pixels, notes = images.decode(content(path), str(path), channels)
    if notes:
        click.echo(f"{path}: converted: {', '.join(notes)}")
    if tuple(pixels.shape[1:]) != (height, width):
        tall, wide = pixels.shape[1:]
        if height != width:
            raise GenkitError(f"{path} is {tall}x{wide}, but samples are {height}x{width}")
        made = "reduced" if min(tall, wide) > height else "enlarged" if min(tall, wide) < height else "taken"
        part = "the image" if tall == wide else f"its middle square of {min(tall, wide)} x {min(tall, wide)}"
        click.echo(f"{path}: {wide} x {tall} pixels; {part} is {made}, as {width} x {height}")
        pixels = images.resize(images.centre_square(pixels)[None], height)[0]
    return images.from_uint8(pixels)
