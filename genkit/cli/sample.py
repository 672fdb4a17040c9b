"""genkit sample: weights become image files, or points."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.console import display, progress
from genkit.cli.diffusion_options import configured, diffusion_options
from genkit.cli.places import INPUT, Place, Writing
from genkit.cli.room import refuse_what_cannot_fit
from genkit.cli.sample_like import imitations, like_options
from genkit.core.errors import ConditionError, DataError, RecipeError
from genkit.core.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

    from genkit.core.generator import Generator


GRID = 256
"""Samples that the picture of a grid holds at most."""

SAMPLES = Place(folder=True, replaces=("*.png", "points.*"))


@click.command("sample", cls=Writing)
@click.argument("weights", type=INPUT)
@click.option("-n", "n", type=click.IntRange(min=1), default=64, show_default=True, help="Number of samples.")
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Same seed, same samples."
)
@click.option("--label", help="Class of all samples: its name, else its number; random when not given.")
@click.option("--out", type=SAMPLES, required=True, help="Folder for 000000.png and so on.")
@click.option("--grid", is_flag=True, help=f"Also write grid.png, a picture of the first {GRID} samples.")
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True, help="Changes speed alone.")
@like_options
@diffusion_options
def command(
    weights: str,
    n: int,
    seed: int,
    label: str | None,
    out: Path,
    grid: bool,
    batch_size: int,
    like: Path | None,
    between: tuple[Path, Path] | None,
    **diffusion: Any,
) -> None:
    """Draw samples from WEIGHTS: a weights folder, a run folder or a shipped name.

    Images become 000000.png and so on, points become points.npy, points.csv and points.png;
    of a run, its data are drawn beside them.
    """
    import torch

    from genkit.core.files import only_writer
    from genkit.core.generator import Generator

    generator = Generator.from_pretrained(weights)
    generator.to("cuda" if torch.cuda.is_available() else "cpu")
    generator = configured(generator, diffusion)
    refuse_what_cannot_fit(n, generator.sample_shape, out)
    condition = None if label is None else {"label": label}
    rng = torch.Generator().manual_seed(seed)
    try:
        asked = generator.conditions.check(condition, n)
    except ConditionError as misfit:
        raise ConditionError(f"--label {label}: {misfit}") from misfit
    batches = imitations(generator, like, between, n, batch_size, rng)
    batches = batches or generator.stream(n, batch_size, condition=condition, rng=rng)
    with only_writer(out, "writing samples to"), display() as shown:
        counted = _counted(batches, n, batch_size, generator, progress(shown, "sampling", "sample"))
        written = (
            _write_images(counted, n, out, grid) if len(generator.sample_shape) == 3 else _points(counted, out, weights)
        )
    click.echo(f"{written} (seed {seed}{_named(generator, asked)})")


def _named(generator: Generator, asked: dict[str, Tensor]) -> str:
    """', label 2: coat' where the classes have names."""
    if "label" not in asked or not generator.class_names:
        return ""
    number = int(asked["label"][0])
    return f", label {number}: {generator.class_names[number]}"


def _counted(
    batches: Iterator[Tensor], n: int, batch_size: int, generator: Generator, tell: Progress
) -> Iterator[Tensor]:
    """Also counts the steps of a diffusion, as parts of its batch."""
    done = 0

    def step(i: int, steps: int) -> None:
        tell(done + min(batch_size, n - done) * i // steps, n)

    if hasattr(generator, "watch"):
        generator.watch = step  # type: ignore[assignment]
    for batch in batches:
        yield batch.cpu()
        done += len(batch)
        tell(done, n)


def _write_images(batches: Iterator[Tensor], n: int, out: Path, grid: bool) -> str:
    import torch

    from genkit.images import pixels as images

    _refuse_others(out, n)
    kept: list[Tensor] = []
    for start, batch in _numbered(batches):
        if start == 0:
            _remove_earlier(out)
        images.write_folder([batch], out, start, images.digits(n))
        if grid and start < GRID:
            kept.append(batch[: GRID - start])
    if grid:
        images.write_png(out / "grid.png", images.grid(torch.cat(kept)))
    return f"{n} images in {out}" + (f", {out / 'grid.png'}" if grid else "")


def _numbered(batches: Iterator[Tensor]) -> Iterator[tuple[int, Tensor]]:
    start = 0
    for batch in batches:
        yield start, batch
        start += len(batch)


def _refuse_others(out: Path, n: int) -> None:
    """Images of an earlier, longer series would be taken for samples of this one."""
    from genkit.images.pixels import digits

    left = [p for p in sorted(out.glob("*.png")) if p.stem != "grid" and not _is_of(p.stem, n, digits(n))]
    if left:
        raise DataError(f"{out} holds other images, such as {left[0].name}; choose another --out or remove them")


def _remove_earlier(out: Path) -> None:
    """The series that this one replaces: if this one is stopped, nothing of the other must be among it."""
    for image in out.glob("*.png"):
        image.unlink()


def _is_of(stem: str, n: int, digits: int) -> bool:
    return stem.isdecimal() and len(stem) == digits and int(stem) < n


def _points(batches: Iterator[Tensor], out: Path, weights: str) -> str:
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
    from genkit.training.folder import RunFolder
    from genkit.training.recipe import Recipe

    recipe = RunFolder(weights).recipe
    with suppress(DataError, RecipeError):
        return Recipe.load(recipe).build_data().x[:n] if recipe.is_file() else None
    return None
