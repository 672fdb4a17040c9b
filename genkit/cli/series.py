"""Samples as numbered files: shared out over the processes of a launch, and gone on with where a series stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genkit.cli.console import display, progress
from genkit.cli.launch import crew_of_launch
from genkit.cli.sample_files import GRID, RECORD, begin_anew, counted, refuse_others, write_points
from genkit.core.display import rows_watched
from genkit.core.documents import Unreadable, read_json
from genkit.core.files import only_writer

if TYPE_CHECKING:
    from torch import Tensor

    from genkit.core.crew import Crew
    from genkit.core.generator import Generator


@dataclass(frozen=True)
class SampleSeries:
    """n samples of a seed.

    Attributes:
        condition: name -> a row a sample, as far as it was given.
        batch_size: changes speed alone.
    """

    generator: Generator
    n: int
    seed: int
    condition: Mapping[str, Tensor]
    batch_size: int

    @property
    def key(self) -> str:
        """Equal for equal samples."""
        from genkit.core.computing import computing
        from genkit.core.fingerprint import fingerprint, weights_fingerprint
        from genkit.core.pretrained import described

        rows = {name: fingerprint(values) for name, values in sorted(self.condition.items())}
        parts = [weights_fingerprint(self.generator), described(self.generator), rows, self.seed, self.n]
        parts += [computing().described]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()

    def drawn(self, numbers: list[int]) -> Iterator[Tensor]:
        """Batches of the samples of these numbers, on the CPU, with progress in the first process."""
        import torch

        rng = torch.Generator().manual_seed(self.seed)
        batches = self.generator.stream(self.n, self.batch_size, condition=self.condition, rng=rng, only=numbers)
        with display() as shown:
            sampling = progress(shown, "sampling", "sample")
            with rows_watched(sampling, self.generator, len(numbers), self.batch_size) as rows:
                yield from counted(batches, len(numbers), rows)


def write_series(
    series: SampleSeries, out: Path, grid: bool, weights: str, about: str, columns: int | None = None
) -> None:
    """Writes a series below `out`, every process its share, and prints where.

    Args:
        grid: also draw a picture of the first samples.
        weights: a run, whose data are drawn beside points; of weights alone none are drawn.
        about: ends the line that is printed.
        columns: of that picture; None makes it about square.
    """
    crew = crew_of_launch()
    points = len(series.generator.sample_shape) == 1
    if crew.rank:
        _share(series, crew.broadcast([]), out, crew)
        series.generator.remarks(crew)
        return
    with only_writer(out, "writing samples to"):
        refuse_others(out, 0 if points else series.n)
        numbers = list(range(series.n)) if points else _missing(series, out)
        found = _share(series, crew.broadcast(numbers), out, crew)
        written = write_points(iter(found), out, weights) if points else _finished(series, out, grid, columns)
    click.echo(f"{written} ({about})")
    for line in series.generator.remarks(crew):
        click.echo(line if len(numbers) == series.n else f"those made now: {line}")


def _share(series: SampleSeries, numbers: list[int], out: Path, crew: Crew) -> list[Tensor]:
    """This process's part of the samples of these numbers: written, where they are images; points of all, in order."""
    mine = crew.whole_batches(numbers, series.n, series.batch_size)
    made: dict[int, Tensor] = {}
    if len(series.generator.sample_shape) == 1:
        made = {mine[k * series.batch_size]: batch for k, batch in enumerate(series.drawn(mine))}
    else:
        _write(series.drawn(mine), mine, out, series.n)
    return crew.gathered(made)


def _write(batches: Iterator[Tensor], numbers: list[int], out: Path, n: int) -> None:
    from genkit.images import pixels

    left = iter(numbers)
    for batch in batches:
        for image in batch:
            pixels.write_folder([image], out, next(left), pixels.digits(n))


def _missing(series: SampleSeries, out: Path) -> list[int]:
    """The numbers that are not there yet; all, and no file is left, where the folder holds no part of this series."""
    from genkit.images.pixels import digits

    key = series.key
    if _key_in(out) == key:
        there = {path.stem for path in out.glob("*.png")}
        missing = [k for k in range(series.n) if f"{k:0{digits(series.n)}d}" not in there]
        click.echo(f"{series.n - len(missing):,} images are there already" + ("; going on" if missing else ""))
        return missing
    if others := sum(path.stem.isdecimal() for path in out.glob("*.png")):
        click.echo(f"in place of {others:,} images of another series in {out}")
    begin_anew(out, key)
    return list(range(series.n))


def _key_in(out: Path) -> str:
    try:
        found = read_json(out / RECORD) if (out / RECORD).is_file() else {}
    except Unreadable:
        return ""
    return str(found.get("key", "")) if isinstance(found, dict) else ""


def _finished(series: SampleSeries, out: Path, grid: bool, columns: int | None) -> str:
    import torch

    from genkit.images import pixels
    from genkit.images.grid import grid as grid_of

    if grid:
        paths = (out / f"{k:0{pixels.digits(series.n)}d}.png" for k in range(min(series.n, GRID)))
        first = [pixels.decode(path.read_bytes(), str(path))[0] for path in paths]
        pixels.write_png(out / "grid.png", grid_of(torch.stack(first), columns))
    return f"{series.n} images in {out}" + (f", {out / 'grid.png'}" if grid else "")
