"""Options of genkit sample that start from given images: --like one, or --between two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genkit.core.errors import DataError, GenkitError
from genkit.core.files import read_regular

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from genkit.core.generator import Generator
    from genkit.vae.vae import VAE

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def like_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of this file to a command."""
    for option in (
        click.option("--between", type=FILE, nargs=2, metavar="A B", help="VAE: a straight way between two images."),
        click.option("--like", type=FILE, metavar="IMAGE", help="VAE: variations of this image."),
    ):
        command = option(command)
    return command


def imitations(
    generator: Generator,
    like: Path | None,
    between: tuple[Path, Path] | None,
    n: int,
    batch_size: int,
    rng: torch.Generator,
) -> Iterator[Tensor] | None:
    """Batches of what was asked for; None when neither was.

    Raises:
        GenkitError: both, or a generator that is no VAE.
        DataError: a file that is no image.
    """
    if not like and not between:
        return None
    from genkit.vae import variations
    from genkit.vae.vae import VAE

    if like and between:
        raise GenkitError("--like makes variations of one image, --between a way from one to another: give one of them")
    if not isinstance(generator, VAE):
        option = "like" if like else "between"
        raise GenkitError(f"--{option} needs a VAE, which encodes images; this is a {type(generator).__name__}")
    if between:
        a, b = (read_image(path, generator) for path in between)
        return iter(variations.between(generator, a, b, n, rng).split(batch_size))
    assert like is not None
    return _variations(generator, read_image(like, generator), n, batch_size, rng)


def _variations(vae: VAE, image: Tensor, n: int, batch_size: int, rng: torch.Generator) -> Iterator[Tensor]:
    from genkit.vae.variations import variations

    for start in range(0, n, batch_size):
        yield variations(vae, image, min(batch_size, n - start), rng)


def _content(path: Path) -> bytes:
    try:
        return read_regular(path)
    except DataError as refused:
        raise DataError(f"{path} {refused}; give an image file") from refused


def read_image(path: Path, generator: Any) -> Tensor:
    """The middle square of an image file in the generator's shape, (C, H, W) in [-1, 1].

    Raises:
        DataError: it is no image.
    """
    from genkit.images import pixels as images

    channels, height, width = generator.sample_shape
    pixels, notes = images.decode(_content(path), str(path), channels)
    if notes:
        click.echo(f"{path}: converted: {', '.join(notes)}")
    if tuple(pixels.shape[1:]) != (height, width):
        if height != width:
            raise GenkitError(f"{path} is {pixels.shape[1]}x{pixels.shape[2]}, but samples are {height}x{width}")
        pixels = images.resize(images.centre_square(pixels)[None], height)[0]
    return images.from_uint8(pixels)
