"""Samples become files: pictures one by one and as a grid, or points; whether they will fit is asked first."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genkit.cli.console import display, progress
from genkit.cli.places import Place
from genkit.core.display import is_first_process, rows_watched
from genkit.core.errors import DataError, GenkitError, RecipeError
from genkit.core.files import only_writer, write_atomically
from genkit.core.progress import Progress
from genkit.core.usable_memory import usable_memory

if TYPE_CHECKING:
    from torch import Tensor

    from genkit.core.generator import Generator

GRID = 256
"""Samples that the picture of a grid holds at most."""

POINT_FILE, POINT_MEMORY = 24, 40
"""Bytes that a coordinate takes at most as binary and text, on the disk and while the files are made."""
PNG_HEADER, DEFLATE = 100, 1.001

SAMPLES = Place(folder=True, replaces=("*.png", "points.*"))

RECORD = ".series.json"
"""In a folder that samples were written to: what they are a function of. It tells them from somebody's own images."""
POINTS = ("points.npy", "points.csv", "points.png")


def write_samples(
    batches: Iterator[Tensor],
    n: int,
    batch_size: int,
    generator: Generator,
    out: Path,
    grid: bool,
    weights: str,
    about: str,
    picture: Callable[[Tensor], Tensor] | None = None,
) -> None:
    """Writes n samples of `generator` below `out`, and prints where; the first process of a launch alone does.

    Args:
        batch_size: rows of a batch, for the progress.
        grid: also draw a picture of the first samples.
        weights: a run, whose data are drawn beside points; of weights alone none are drawn.
        about: ends the line that is printed.
        picture: of the first samples; None for one row below the other.
    """
    if not is_first_process():
        return
    with (
        only_writer(out, "writing samples to"),
        display() as shown,
        rows_watched(progress(shown, "sampling", "sample"), generator, n, batch_size) as rows,
    ):
        watched = counted(batches, n, rows)
        images = len(generator.sample_shape) == 3
        refuse_others(out, n if images else 0)
        written = write_images(watched, n, out, grid, picture) if images else write_points(watched, out, weights)
    click.echo(f"{written} ({about})")


def counted(batches: Iterator[Tensor], n: int, rows: Progress) -> Iterator[Tensor]:
    """The batches on the CPU, each reported."""
    done = 0
    for batch in batches:
        yield batch.cpu()
        done += len(batch)
        rows(done, n)


def write_images(
    batches: Iterator[Tensor], n: int, out: Path, grid: bool, picture: Callable[[Tensor], Tensor] | None = None
) -> str:
    import torch

    from genkit.images import grid as side_by_side
    from genkit.images import pixels as images

    kept: list[Tensor] = []
    start = 0
    for batch in batches:
        if start == 0:
            begin_anew(out)
        images.write_folder([batch], out, start, images.digits(n))
        if grid and start < GRID:
            kept.append(batch[: GRID - start])
        start += len(batch)
    if grid:
        images.write_png(out / "grid.png", (picture or side_by_side.grid)(torch.cat(kept)))
    return f"{n} images in {out}" + (f", {out / 'grid.png'}" if grid else "")


def refuse_others(out: Path, n: int) -> None:
    """Raises DataError for other images: of an earlier, longer series, which would be taken for samples of this one, or
    somebody's own, in folders too, among which samples would be lost, or which these would replace.

    Args:
        n: images that will be written; 0 for points.
    """
    from genkit.images.decoding import SUFFIXES
    from genkit.images.pixels import digits

    for path in sorted(out.iterdir()) if out.is_dir() else ():
        own = path.name in POINTS or (n and path.name == "grid.png")
        own = own or (path.suffix == ".png" and _is_of(path.stem, n, digits(n)))
        if path.is_dir() or (path.suffix.lower() in SUFFIXES and not own):
            what = "a folder" if path.is_dir() else "other images, such as"
            raise DataError(f"{out} holds {what} {path.name}; choose another --out or remove them")
        if own and not (out / RECORD).is_file():
            raise DataError(
                f"{out} holds {path.name}, which would be replaced, and nothing says that genkit wrote it; choose "
                "another --out or remove it"
            )


def begin_anew(out: Path, key: str = "") -> None:
    """Removes the images of the series before, so that none is mixed with those of this one, were it stopped.

    Args:
        key: of the series; "" for one that cannot be gone on with.
    """
    write_atomically(out / RECORD, json.dumps({"key": ""}).encode())
    for image in out.glob("*.png"):
        image.unlink()
    write_atomically(out / RECORD, json.dumps({"key": key}).encode())


def _is_of(stem: str, n: int, digits: int) -> bool:
    return stem.isdecimal() and len(stem) == digits and int(stem) < n


def write_points(batches: Iterator[Tensor], out: Path, weights: str) -> str:
    import numpy as np
    import torch

    from genkit.images.scatter import points_png

    points = torch.cat(list(batches))
    begin_anew(out)
    binary, text = io.BytesIO(), io.StringIO()
    np.save(binary, points.numpy(), allow_pickle=False)
    np.savetxt(text, points.numpy(), delimiter=",", fmt="%.8g")
    write_atomically(out / "points.npy", binary.getvalue())
    write_atomically(out / "points.csv", text.getvalue().encode())
    if points.shape[1] == 2:
        points_png(points, out / "points.png", data=trained_on(weights, len(points)))
    return f"{len(points)} points in {out}"


def trained_on(weights: str, n: int) -> Tensor | None:
    """The first n points that a run learned from; None for weights alone, or where the data cannot be had."""
    from genkit.training.recipe import Recipe
    from genkit.training.run_folder import RunFolder

    recipe = RunFolder(weights).recipe
    with suppress(DataError, RecipeError):
        return Recipe.load(recipe).build_data().x[:n] if recipe.is_file() else None
    return None


def refuse_what_cannot_fit(n: int, sample_shape: tuple[int, ...], out: Path) -> None:
    """Checks that n samples can be written below `out`, which need not exist.

    Raises:
        GenkitError: they may take more space than there is; the message has both.
    """
    place = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    disk = os.statvfs(place)
    points = len(sample_shape) == 1
    block = disk.f_frsize
    needed = n * (POINT_FILE * sample_shape[0] if points else -(-_png(*sample_shape) // block) * block)
    free = disk.f_bavail * block + sum(p.stat().st_size for p in out.glob("*.png"))
    if needed > free:
        raise GenkitError(f"-n {n:,}: {_size(needed)} of files may come of it, and {place} has {_size(free)} free")
    if not points and disk.f_files and n > disk.f_favail + sum(1 for _ in out.glob("*.png")):
        raise GenkitError(f"-n {n:,}: {place} has room for {disk.f_favail:,} more files")
    if points and n * POINT_MEMORY * sample_shape[0] > (memory := usable_memory()):
        raise GenkitError(f"-n {n:,}: points are held in memory, of which there is {_size(memory)}; ask for fewer")


def _png(channels: int, height: int, width: int) -> int:
    """Bytes of a picture that cannot be compressed."""
    return math.ceil(DEFLATE * height * (channels * width + 1)) + PNG_HEADER


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"
