"""Samples become files: pictures one by one and as a grid, or points."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genkit.cli.console import Watched, display, progress
from genkit.cli.places import Place
from genkit.core.errors import DataError, RecipeError
from genkit.core.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

    from genkit.core.generator import Generator

GRID = 256
"""Samples that the picture of a grid holds at most."""

SAMPLES = Place(folder=True, replaces=("*.png", "points.*"))


def write_samples(
    batches: Iterator[Tensor],
    n: int,
    batch_size: int,
    generator: Generator,
    out: Path,
    grid: bool,
    weights: str,
    about: str,
) -> None:
    """Writes n samples of `generator` below `out`, and prints where.

    Args:
        batch_size: of the batches, for the progress.
        grid: also a picture of the first ones.
        weights: where a run's data are looked up, to be drawn beside points.
        about: ends the line that is printed.
    """
    from genkit.core.files import only_writer

    with only_writer(out, "writing samples to"), display() as shown:
        watched = counted(batches, n, Watched(progress(shown, "sampling", "sample"), generator, n, batch_size))
        images = len(generator.sample_shape) == 3
        written = write_images(watched, n, out, grid) if images else write_points(watched, out, weights)
    click.echo(f"{written} ({about})")


def counted(batches: Iterator[Tensor], n: int, rows: Progress) -> Iterator[Tensor]:
    """The batches on the CPU, each reported."""
    done = 0
    for batch in batches:
        yield batch.cpu()
        done += len(batch)
        rows(done, n)


def write_images(batches: Iterator[Tensor], n: int, out: Path, grid: bool) -> str:
    import torch

    from genkit.images import pixels as images

    _refuse_others(out, n)
    kept, start = list[Tensor](), 0
    for batch in batches:
        for image in (
            out.glob("*.png") if start == 0 else ()
        ):  # were this series stopped, nothing may be of an earlier one
            image.unlink()
        images.write_folder([batch], out, start, images.digits(n))
        if grid and start < GRID:
            kept.append(batch[: GRID - start])
        start += len(batch)
    if grid:
        images.write_png(out / "grid.png", images.grid(torch.cat(kept)))
    return f"{n} images in {out}" + (f", {out / 'grid.png'}" if grid else "")


def _refuse_others(out: Path, n: int) -> None:
    """Images of an earlier, longer series would be taken for samples of this one."""
    from genkit.images.pixels import digits

    left = [p for p in sorted(out.glob("*.png")) if p.stem != "grid" and not _is_of(p.stem, n, digits(n))]
    if left:
        raise DataError(f"{out} holds other images, such as {left[0].name}; choose another --out or remove them")


def _is_of(stem: str, n: int, digits: int) -> bool:
    return stem.isdecimal() and len(stem) == digits and int(stem) < n


def write_points(batches: Iterator[Tensor], out: Path, weights: str) -> str:
    import numpy as np
    import torch

    from genkit.core.files import write_atomically
    from genkit.images.scatter import points_png

    points = torch.cat(list(batches))
    binary, text = io.BytesIO(), io.StringIO()
    np.save(binary, points.numpy(), allow_pickle=False)
    np.savetxt(text, points.numpy(), delimiter=",", fmt="%.8g")
    write_atomically(out / "points.npy", binary.getvalue())
    write_atomically(out / "points.csv", text.getvalue().encode())
    if points.shape[1] == 2:
        points_png(points, out / "points.png", data=_trained_on(weights, len(points)))
    return f"{len(points)} points in {out}"


def _trained_on(weights: str, n: int) -> Tensor | None:
    """As many of the points that a run learned from; None for weights alone, or where the data cannot be had."""
    from genkit.training.recipe import Recipe
    from genkit.training.run_folder import RunFolder

    recipe = RunFolder(weights).recipe
    with suppress(DataError, RecipeError):
        return Recipe.load(recipe).build_data().x[:n] if recipe.is_file() else None
    return None
