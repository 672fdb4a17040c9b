"""genkit edit: new images from given ones, or weights that generate by other examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from genkit.cli.computing_options import computes
from genkit.cli.given_images import IMAGE, write_edited
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
from genkit.cli.sample_files import GRID, SAMPLES
from genkit.core.errors import GenkitError


class FolderOrPicture(Place):
    """A folder, or a picture by its name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from genkit.images.decoding import SUFFIXES

        place = Place() if str(value).lower().endswith(".png") else SAMPLES
        if place is SAMPLES and Path(str(value)).suffix and Path(str(value)).is_file():
            self.fail(f"{value} is a file; name a folder, or a picture that ends with .png", param, ctx)
        if place is SAMPLES and str(value).lower().endswith(SUFFIXES):
            self.fail(f"a picture is a .png file, got {Path(str(value)).name!r}", param, ctx)
        path = place.convert(value, param, ctx)
        if path.is_file() and not _is_picture(path):
            self.fail(f"{path} is there and is no PNG; give another name, or delete it", param, ctx)
        return path


def _is_picture(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(len(PNG)) == PNG


PNG = b"\x89PNG"
"""The first bytes of such a file."""
EDITED = FolderOrPicture(folder=True, replaces=SAMPLES.replaces)
OF_FOLDER = ("grid", "batch_size")
"""Options that one picture does not have."""
OF_DATA = "skip_bad"
"""An option of new weights by other exemplars alone."""
OF_IMAGES = ("n", "seed", *OF_FOLDER)
"""Options that new weights do not have."""


@click.command("edit", cls=Writing, epilog=f"{ABOUT_WEIGHTS} {ABOUT_DATA}")
@click.argument("weights", type=WEIGHTS)
@click.argument("images", type=IMAGE, nargs=-1, metavar="[IMAGE [IMAGE]]")
@click.option("--replace", type=DATA, help="New weights, which generate by these alone.")
@click.option("--extend", type=DATA, help="New weights, which generate by these too.")
@click.option(
    "--sweep",
    "sweeps",
    multiple=True,
    metavar="NAME=FROM:TO:COUNT",
    help="A picture: a control from value to value, a row a seed; a second one goes down the rows.",
)
@click.option(
    "--direction",
    "moves",
    multiple=True,
    metavar="NAME=STRENGTH",
    help="A picture, or new weights: samples moved along it; once for each that they are moved along together.",
)
@click.option("--directions", type=WEIGHTS, help="Folder of the directions, from genkit directions.")
@click.option(
    "--condition",
    "conditions",
    multiple=True,
    metavar="NAME=VALUE",
    help="Of all images of a sweep; values between commas go to the rows in turn.",
)
@click.option(
    "--out",
    type=EDITED,
    help="Folder of the images, or of the new weights; of a sweep a .png file, which replaces one of this name.",
)
@click.option("-n", "n", type=COUNT, default=16, help="Images, or rows of one --sweep; 16, or 4 rows.")
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
    sweeps: tuple[str, ...],
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
    With --sweep, samples of a generator with controls that differ in one attribute, or two, alone:
    NAME=FROM:TO:COUNT, NAME=VALUE,VALUE or NAME, which goes through 8 numbers or all classes. With --direction, samples
    of any generator with a latent that are moved along a direction that genkit directions has found: a picture from one
    end of the last one to the other (--out FILE.png), or new weights. With --directions alone, weights whose samples
    take strengths by the names in its directions.yaml, as --condition of genkit sample.
    """
    if moves or directions is not None:
        _move(ctx, weights, images, [replace, extend, *sweeps, *conditions], moves, directions, seed, out)
        return
    if sweeps:
        _sweep(ctx, weights, images, [replace, extend], sweeps, conditions, seed, out)
        return
    if conditions:
        raise GenkitError("--condition is of all images of a --sweep; without one, see genkit sample --condition")
    data = {"--replace": replace, "--extend": extend}
    _check(images, [name for name, value in data.items() if value], out)
    assert out is not None
    if not images:
        _refuse(ctx, OF_IMAGES, "new weights")
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
    sweeps: Sequence[str],
    conditions: Sequence[str],
    seed: int,
    out: Path | None,
) -> None:
    from genkit.cli.sweep import write_sweep

    if images or any(data):
        raise GenkitError("--sweep is of samples, not of an IMAGE or of other exemplars; give one of them")
    if out is None:
        raise GenkitError("say where the picture goes with --out FILE.png")
    _refuse(ctx, (*OF_FOLDER, OF_DATA), "one picture")
    write_sweep(weights, sweeps, conditions, _rows(ctx), seed, out)


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
    from genkit.cli.edit_direction import write_edit, write_named
    from genkit.cli.sweep import ROWS

    if images or any(others):
        raise GenkitError(
            "--direction is of samples, and goes with none of IMAGE, --replace, --extend, --sweep, --condition"
        )
    if out is None:
        raise GenkitError("say where the picture goes with --out FILE.png, or the new weights with --out FOLDER")
    picture = out.suffix.lower() == ".png"
    if picture and not moves:
        raise GenkitError(
            "--directions: say which direction a picture is of with --direction NAME=STRENGTH; --out FOLDER "
            "makes weights whose samples can be asked for strengths by name"
        )
    _refuse(ctx, (*(OF_FOLDER if picture else OF_IMAGES), OF_DATA), "one picture" if picture else "new weights")
    if directions is not None and not moves:
        write_named(weights, directions, out)
    else:
        write_edit(weights, moves, directions, _rows(ctx) or ROWS, seed, out)


def _rows(ctx: click.Context) -> int | None:
    """Of a picture, as was asked."""
    return ctx.params["n"] if ctx.get_parameter_source("n") is ParameterSource.COMMANDLINE else None


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


def _refuse(ctx: click.Context, names: Sequence[str], wanted: str) -> None:
    """Options that are of a folder of new images, where something else is asked for."""
    for parameter in ctx.command.params:
        if parameter.name in names and ctx.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            raise GenkitError(f"{parameter.opts[0]} is of new images, and {wanted} is asked for; leave it out")


def _write_weights(weights: str, given: dict[str, str | None], out: Path, skip_bad: bool) -> None:
    from genkit.cli.exemplars import tell_exemplars
    from genkit.core.files import new_folder
    from genkit.evaluation.real_data import check_data, open_data
    from genkit.vae.vae import VAE

    new_folder(out)
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
