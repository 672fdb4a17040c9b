"""genkit edit: new images from given ones, or weights that generate by other examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import click
from click.core import ParameterSource

from genkit.cli.computing_options import computes
from genkit.cli.places import (
    ABOUT_DATA,
    ABOUT_WEIGHTS,
    COUNT,
    DATA,
    SEED,
    WEIGHTS,
    Place,
    Writing,
    loaded,
    skip_bad_option,
)
from genkit.cli.sample_files import GRID, SAMPLES, write_samples
from genkit.core.errors import DataError, GenkitError, kind_of
from genkit.core.files import read_regular

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from genkit.core.generator import Generator
    from genkit.vae.vae import VAE


class FolderOrPicture(Place):
    """A folder, or a picture by its name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        place = Place() if str(value).lower().endswith(".png") else SAMPLES
        return place.convert(value, param, ctx)


EDITED = FolderOrPicture(folder=True, replaces=SAMPLES.replaces)
IMAGE = click.Path(exists=True, dir_okay=False, path_type=Path)
STRIP = 32
"""Images of a strip in one row."""
ROWS = 4
"""Of a sweep, where nothing else is said."""
OF_IMAGES = ("n", "seed", "grid", "batch_size")
"""Options that new weights do not have."""


@click.command("edit", cls=Writing, epilog=f"{ABOUT_WEIGHTS} {ABOUT_DATA}")
@click.argument("weights", type=WEIGHTS)
@click.argument("images", type=IMAGE, nargs=-1, metavar="[IMAGE [IMAGE]]")
@click.option("--replace", type=DATA, help="New weights, which generate by these alone.")
@click.option("--extend", type=DATA, help="New weights, which generate by these too.")
@click.option("--sweep", metavar="NAME=FROM:TO:COUNT", help="A picture: a control from value to value, a row a seed.")
@click.option(
    "--direction",
    "moves",
    multiple=True,
    metavar="NAME=STRENGTH",
    help="A picture, or new weights: samples moved along it; once for each that they are moved along together.",
)
@click.option("--directions", type=WEIGHTS, help="Folder of the directions, from genkit directions.")
@click.option("--condition", "conditions", multiple=True, metavar="NAME=VALUE", help="Of all images of a sweep.")
@click.option("--out", type=EDITED, help="Folder of the images, or of the new weights; of a sweep a .png file.")
@click.option("-n", "n", type=COUNT, default=16, help="Images, or rows of a --sweep; 16, or 4 rows.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Same seed, same images.")
@click.option("--grid", is_flag=True, help=f"Also write grid.png: IMAGE and its first {GRID} variations, or a strip.")
@click.option(
    "--batch-size", type=COUNT, default=64, show_default=True, help="Changes speed, and images by rounding at most."
)
@skip_bad_option
@click.pass_context
@computes
def command(
    ctx: click.Context,
    weights: str,
    images: tuple[Path, ...],
    replace: str | None,
    extend: str | None,
    sweep: str | None,
    moves: tuple[str, ...],
    directions: str | None,
    conditions: tuple[str, ...],
    out: Path | None,
    n: int,
    seed: int,
    grid: bool,
    batch_size: int,
    skip_bad: bool,
) -> None:
    """Make variations of IMAGE, or a straight line of images from one IMAGE to another, with WEIGHTS of a VAE.

    With --replace or --extend, the weights themselves: an exemplar VAE generates by other images, without training.
    With --sweep, samples of a generator with controls that differ in one attribute alone: NAME=FROM:TO:COUNT,
    NAME=VALUE,VALUE or NAME. With --direction, samples of any generator with a latent that are moved along a direction
    that genkit directions has found: a picture from one end of the last one to the other (--out FILE.png), or new
    weights.
    """
    if moves or directions is not None:
        _move(ctx, weights, images, [replace, extend, sweep, *conditions], moves, directions, seed, out)
        return
    if sweep is not None:
        _sweep(ctx, weights, images, [replace, extend], sweep, conditions, seed, out)
        return
    if conditions:
        raise GenkitError("--condition is of all images of a --sweep; without one, see genkit sample --condition")
    data = {"--replace": replace, "--extend": extend}
    _check(images, [name for name, value in data.items() if value], out)
    assert out is not None
    if not images:
        _refuse_of_images(ctx)
        _write_weights(weights, data, out, skip_bad)
        return
    from genkit.core.generator import Generator

    generator = loaded(Generator, weights)
    write_edited(generator, images, n, seed, out, grid, batch_size, weights, f"seed {seed}", "edit")


def _sweep(
    ctx: click.Context,
    weights: str,
    images: Sequence[Path],
    data: Sequence[str | None],
    sweep: str,
    conditions: Sequence[str],
    seed: int,
    out: Path | None,
) -> None:
    from genkit.cli.sweep import write_sweep

    if images or any(data):
        raise GenkitError("--sweep is of samples, not of an IMAGE or of other exemplars; give one of them")
    if out is None:
        raise GenkitError("say where the picture goes with --out FILE.png")
    given = ctx.get_parameter_source("n") is ParameterSource.COMMANDLINE
    write_sweep(weights, sweep, conditions, ctx.params["n"] if given else ROWS, seed, out)


def _move(
    ctx: click.Context,
    weights: str,
    images: Sequence[Path],
    others: Sequence[str | None],
    moves: Sequence[str],
    directions: str | None,
    seed: int,
    out: Path | None,
) -> None:
    from genkit.cli.edit_direction import write_edit

    if not moves:
        raise GenkitError("--directions is where a --direction is from: say which, as NAME=STRENGTH")
    if images or any(others):
        raise GenkitError(
            "--direction is of samples, and goes with none of IMAGE, --replace, --extend, --sweep, --condition"
        )
    if out is None:
        raise GenkitError("say where the picture goes with --out FILE.png, or the new weights with --out FOLDER")
    if out.suffix.lower() != ".png":
        _refuse_of_images(ctx)
    given = ctx.get_parameter_source("n") is ParameterSource.COMMANDLINE
    write_edit(weights, moves, directions, ctx.params["n"] if given else ROWS, seed, out)


def _check(images: Sequence[Path], data: Sequence[str], out: Path | None) -> None:
    if images and data:
        raise GenkitError(f"{data[0]} makes new weights, and an IMAGE new images: give one of them")
    if len(images) > 2:
        raise GenkitError(f"one IMAGE is varied, two are joined; got {len(images)}")
    if data and out is None:
        raise GenkitError("other exemplars make other weights: say where to with --out FOLDER")
    if not images and not data:
        raise GenkitError("nothing to write: give an IMAGE, --replace DATA or --extend DATA")
    if out is None:
        raise GenkitError("say where the images go with --out FOLDER")


def _refuse_of_images(ctx: click.Context) -> None:
    for parameter in ctx.command.params:
        if parameter.name in OF_IMAGES and ctx.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            raise GenkitError(
                f"{parameter.opts[0]} is of new images, and what is asked for are new weights; leave it out"
            )


def _write_weights(weights: str, given: dict[str, str | None], out: Path, skip_bad: bool) -> None:
    from genkit.cli.exemplars import tell_exemplars
    from genkit.evaluation.real_data import check_data, open_data
    from genkit.vae.vae import VAE

    vae = VAE.from_pretrained(weights)
    data = {option: name for option, name in given.items() if name}
    for option, name in data.items():
        check_data(name, vae.sample_shape, option, skip_bad)
    take = {"--replace": vae.exemplars.replace, "--extend": vae.exemplars.extend}
    for option, name in data.items():
        items = open_data(name, vae.sample_shape, option, skip_bad)
        take[option](items)
        for line in items.remarks():
            click.echo(line)
    tell_exemplars(vae)
    vae.save_pretrained(out)
    click.echo(f"weights in {out}")


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
        if height != width:
            raise GenkitError(f"{path} is {pixels.shape[1]}x{pixels.shape[2]}, but samples are {height}x{width}")
        pixels = images.resize(images.centre_square(pixels)[None], height)[0]
    return images.from_uint8(pixels)
