"""Either side of a comparison as one thing: a named stream of 8-bit images or points, drawn by a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genkit.core.crew import ALONE, Crew
from genkit.core.errors import EvaluationError
from genkit.core.fingerprint import fingerprint
from genkit.core.generator import Generator
from genkit.core.mixture import PointMixture
from genkit.evaluation.batches import check_batch, samples_of
from genkit.evaluation.points_file import read_points
from genkit.evaluation.statistics_file import Statistics
from genkit.images.grouping import Prepared, grouped
from genkit.images.image_files import ImageFiles
from genkit.images.intake import Intake
from genkit.images.listing import kinds_unread

Batches = Iterator[Tensor]
Prepare = Callable[[Tensor], Tensor]


@dataclass
class Source:
    """One side.

    Attributes:
        name: for tables.
        kind: "weights", "data set", "files", "points", "batches" or "statistics".
        batches: (n, seed, batch size) -> at most n samples in random order, uint8 (B, C, H, W) or float points (B, D).
        available: number of samples; None without an end.
        sample_shape: None when unknown or mixed.
        fingerprint: hash of the content; None when the samples are made anew.
        notes: of the intake: conversions, files left out.
        warnings: to be read beside the score.
        mixture: that the points were drawn from, if known.
        prepared: as `batches`, of images that were made ready one by one: (n, seed, batch size, prepare, crew) -> the
            batches of this process, with the shape (C, H, W) that their files have; None where the samples are small
            or not alike in size.
        generator: that makes the samples.
        share: (numbers, n, seed, batch size, crew) -> this process' batches of them; None where all are at hand anyway.
        items: the data set that the samples are rows of.
        check: (n, seed, crew) -> raises DataError for what is known to be of no use among them, in every process of
            the crew; None where nothing is.
    """

    name: str
    kind: str
    batches: Callable[[int, int, int], Batches]
    available: int | None = None
    sample_shape: tuple[int, ...] | None = None
    fingerprint: Callable[[], str] | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    mixture: PointMixture | None = None
    prepared: Callable[[int, int, int, Prepare, Crew], Iterator[Prepared]] | None = None
    generator: Generator | None = None
    share: Callable[[range, int, int, int, Crew], Batches] | None = None
    items: Any = None
    check: Callable[[int, int, Crew], None] | None = None

    def over(self, reference: Source | Statistics) -> Source:
        """Itself; a generator that needs parts of real samples (an upsampler) is given those of the reference.

        Raises:
            EvaluationError: it is one, and the reference is no data set.
        """
        if self.generator is None or not self.generator.made:
            return self
        if not isinstance(reference, Source) or reference.items is None:
            made = self.generator.made[0]
            raise EvaluationError(f"{self.name} needs {made} of real images; score it against a data set, by its name")
        return of_generator(self.generator.over(reference.items), self.name)

    @property
    def points(self) -> bool | None:
        """Whether the samples are points, not images; None when unknown."""
        if self.kind == "files":
            return False
        return None if self.sample_shape is None else len(self.sample_shape) == 1


def of_generator(generator: Generator, name: str) -> Source:
    """Fresh samples; sample i depends on the seed alone."""

    def batches(n: int, seed: int, size: int) -> Batches:
        return _eight_bit(generator.stream(n, size, rng=torch.Generator().manual_seed(seed)), source, n)

    def share(numbers: range, n: int, seed: int, size: int, crew: Crew) -> Batches:
        mine = crew.whole_batches(numbers, n, size)
        stream = generator.stream(n, size, rng=torch.Generator().manual_seed(seed), only=mine)
        return _eight_bit(stream, source, n)

    shape = tuple(generator.sample_shape)
    source = Source(name, "weights", batches, sample_shape=shape, generator=generator, share=share)
    return source


def of_data_set(data: Any) -> Source:
    """Rows drawn without replacement."""

    def batches(n: int, seed: int, size: int) -> Batches:
        for index in _chosen(len(data), n, seed).split(size):
            yield data.x[index]

    report = getattr(data, "report", None)
    return Source(
        data.name,
        "data set",
        batches,
        available=len(data),
        sample_shape=tuple(data.sample_shape),
        fingerprint=lambda: str(data.fingerprint),
        notes=report.as_dict() if report else {},
        mixture=getattr(data, "mixture", None),
        items=data,
    )


def of_files(files: ImageFiles, skip_bad: bool = False) -> Source:
    """Files drawn without replacement, each at its own size; in place of one that is left out the next one is taken."""

    def chosen(n: int, seed: int) -> list[str]:
        return [files.names[i] for i in _chosen(len(files), n, seed).tolist()]

    def check(n: int, seed: int, crew: Crew) -> None:
        if not skip_bad:
            files.select(chosen(n, seed)).check(crew)

    def prepared(n: int, seed: int, size: int, prepare: Prepare, crew: Crew) -> Iterator[Prepared]:
        order, reports, taken, lacking = chosen(len(files), seed), list[Intake](), 0, n
        while names := order[taken : taken + lacking]:
            report = Intake()
            if mine := crew.whole_batches(range(len(names)), len(names), size):
                share = files.select([names[k] for k in mine])
                with closing(share.prepared(prepare, skip_bad=skip_bad, report=report)) as images:
                    for batch in grouped((image._replace(position=mine[image.position]) for image in images), size):
                        yield batch._replace(position=taken + batch.position)
            found = crew.exchanged(report)
            reports += found
            taken, lacking = taken + len(names), sum(len(part.rejected) for part in found)
        source.notes.update(Intake.joined(reports, order[:taken]).as_dict())

    def batches(n: int, seed: int, size: int) -> Batches:
        return (batch.ready for batch in prepared(n, seed, size, lambda image: image, ALONE))

    source = Source(str(files.path), "files", batches, len(files), prepared=prepared, check=check)
    source.fingerprint = lambda: f"{files.fingerprint}/{skip_bad}"
    if files.unread:
        source.warnings.append(f"{source.name}: {kinds_unread(files.unread)}")
    return source


def of_points(path: Path, name: str) -> Source:
    """Rows of an .npy file, drawn without replacement; raises DataError for a file without points."""
    x = check_batch(read_points(path), name)

    def batches(n: int, seed: int, size: int) -> Batches:
        return (x[index] for index in _chosen(len(x), n, seed).split(size))

    return Source(name, "points", batches, len(x), tuple(x.shape[1:]), lambda: fingerprint(x))


def of_batches(items: Iterable[Any], name: str) -> Source:
    """Any iterable of batches, taken in its own order."""

    def batches(n: int, seed: int, size: int) -> Batches:
        for batch in _eight_bit(map(samples_of, items), source, n):
            yield from batch.split(size)

    source = Source(name, "batches", batches)
    return source


def _chosen(available: int, n: int, seed: int) -> Tensor:
    return torch.randperm(available, generator=torch.Generator().manual_seed(seed))[:n]


def _eight_bit(batches: Iterable[Any], source: Source, n: int) -> Batches:
    """The first n samples, checked; floats in [-1, 1] are rounded to 8 bits, points stay floats."""
    lowest, start = 0.0, 0
    for batch in batches:
        if not isinstance(batch, (Tensor, np.ndarray)):
            raise EvaluationError(f"{source.name}: batches must be tensors of images, got {type(batch).__name__}")
        x = torch.as_tensor(batch).detach()[: n - start]
        yield check_batch(x, source.name, start)
        floats = x.is_floating_point() and x.dim() == 4
        lowest = min(lowest, float(x.min()) if floats else -1.0)
        start += len(x)
        if start >= n:
            break
    if start and lowest >= 0:
        source.warnings.append(f"{source.name}: no value below 0; floats are read as [-1, 1], not as [0, 1]")
