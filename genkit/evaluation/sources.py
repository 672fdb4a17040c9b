"""Either side of a comparison as one thing: a named stream of 8-bit images or points, drawn by a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genkit.core.catalog import build, check, shipped
from genkit.core.computing import computing
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import EvaluationError, shown, suggest
from genkit.core.fingerprint import fingerprint
from genkit.core.generator import Generator
from genkit.core.location import CONFIG, RECIPE
from genkit.core.mixture import PointMixture
from genkit.core.table import CATALOG
from genkit.evaluation.batches import check_batch, samples_of
from genkit.evaluation.clean_fid import PREFIX, CleanFidStatistics
from genkit.evaluation.points_file import points_file, read_points
from genkit.evaluation.real_data import find_name
from genkit.evaluation.statistics_file import Statistics
from genkit.images.image_files import ImageFiles, Prepared, grouped
from genkit.images.intake import Intake

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


def open_source(what: Any, role: str, skip_bad: bool = False) -> Source | Statistics:
    """Opens anything that can be scored: a Generator, a DataSet, batches, statistics, a path, a data-set name or spec.

    Args:
        what: a path may be a folder or zip of images, points in an `.npy` file or a folder with points.npy, `.npz`
            statistics, a weights folder or a run folder. Data sets are named as in `read_name`.
            `clean-fid:cifar10/train` are statistics that clean-fid publishes, see `CleanFidStatistics`. Batches are
            uint8, or floats in [-1, 1]; pairs with labels, as a DataLoader gives them, are accepted.
        role: for messages.
        skip_bad: of folders and zips, leave out files that cannot be used.

    Raises:
        EvaluationError: none of these.
        DataError, WeightsError, RecipeError: of the kind that it is.
    """
    return opening(what, role, skip_bad).open()


def open_sides(
    sides: Sequence[tuple[Any, str]], skip_bad: bool, known: Callable[[Source | Statistics], None]
) -> list[Source | Statistics]:
    """(what, role) of each as `open_source` opens them; all are checked first, then the cheapest is opened first.

    Args:
        known: called with each side as soon as it is open, so that it can refuse before the next one is.
    """
    openings = [opening(what, role, skip_bad) for what, role in sides]
    opened: dict[int, Source | Statistics] = {}
    for i in sorted(range(len(openings)), key=lambda i: openings[i].cost):
        opened[i] = openings[i].open()
        known(opened[i])
    return [opened[i] for i in range(len(openings))]


def opening(what: Any, role: str, skip_bad: bool = False) -> Opening:
    """A checked opener of `what`; raises as `open_source`, as far as possible without opening it."""
    if isinstance(what, (str, Path)):
        return _opening(str(what), role, skip_bad)
    if isinstance(what, Mapping):
        return _of_spec(what, role)
    source = _of_object(what, role)
    return Opening(0, lambda: source)


def _of_object(what: Any, role: str) -> Source | Statistics:
    if isinstance(what, (Source, Statistics)):
        return what
    if isinstance(what, Generator):
        return of_generator(what, type(what).__name__)
    if all(hasattr(what, name) for name in ("x", "rows", "fingerprint", "sample_shape")):
        return of_data_set(what)
    if isinstance(what, (Tensor, np.ndarray)):
        return of_batches([torch.as_tensor(what)], f"tensor {tuple(what.shape)}")
    if isinstance(what, Iterable):
        return of_batches(what, type(what).__name__)
    raise EvaluationError(
        f"{role}: a {type(what).__name__} cannot be scored; accepted: a Generator, a data set, batches of images, "
        "a path or the name of a data set"
    )


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
    """Files drawn without replacement, each at its own size."""

    def prepared(n: int, seed: int, size: int, prepare: Prepare, crew: Crew) -> Iterator[Prepared]:
        chosen, report = [files.names[i] for i in _chosen(len(files), n, seed).tolist()], Intake()
        if mine := crew.whole_batches(range(len(chosen)), len(chosen), size):
            share = files.select([chosen[k] for k in mine])
            with closing(share.prepared(prepare, skip_bad=skip_bad, report=report)) as images:
                yield from grouped((image._replace(position=mine[image.position]) for image in images), size)
        source.notes.update(Intake.joined(crew.exchanged(report), chosen).as_dict())

    def batches(n: int, seed: int, size: int) -> Batches:
        return (batch.ready for batch in prepared(n, seed, size, lambda image: image, ALONE))

    source = Source(str(files.path), "files", batches, len(files), prepared=prepared)
    source.fingerprint = lambda: f"{files.fingerprint}/{skip_bad}"
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


@dataclass(frozen=True)
class Opening:
    """A side whose name has been checked and that is not yet opened.

    Attributes:
        cost: of opening it: 0 reads little, 1 loads weights, 2 may decode or download a data set.
        open: opens it.
    """

    cost: int
    open: Callable[[], Source | Statistics]


def _opening(text: str, role: str, skip_bad: bool) -> Opening:
    """Checks a path or name as far as possible without opening it."""
    path = Path(text)
    if text.lstrip().startswith("{"):
        return _named(text, role, skip_bad)
    if text.startswith(PREFIX):
        published = CleanFidStatistics.named(text, role)
        return Opening(1, published.read)
    if path.suffix == ".npz" and path.is_file():
        return Opening(0, lambda: Statistics.load(path))
    if any((folder / name).is_file() for folder in (path, path / "weights") for name in (CONFIG, RECIPE)):
        return Opening(1, lambda: _of_weights(text))
    if points := points_file(path):
        return Opening(0, partial(of_points, points, text))
    if not path.exists() and (shipped("weights") / text / CONFIG).is_file():
        return Opening(1, lambda: _of_weights(text))
    return _named(text, role, skip_bad)


def _named(text: str, role: str, skip_bad: bool) -> Opening:
    name = find_name(text, role)
    if name is None:
        near = suggest(text, CATALOG["data"])
        raise EvaluationError(f"{role}: no file, folder, weights or data set {shown(text)}{near}")
    return _of_spec(name, role) if isinstance(name, dict) else Opening(0, lambda: of_files(ImageFiles(name), skip_bad))


def _of_spec(spec: Mapping[str, Any], role: str) -> Opening:
    check(spec, kind="data", where=role)
    return Opening(2, lambda: of_data_set(build(spec, kind="data", where=role)))


def _of_weights(text: str) -> Source:
    generator = Generator.from_pretrained(text)
    return of_generator(computing().ready(generator), text)


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
