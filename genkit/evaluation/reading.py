"""From a source to features: batch by batch through the extractor, or from the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from genkit.core.crew import ALONE, Crew
from genkit.core.errors import EvaluationError
from genkit.core.progress import Progress
from genkit.core.usable_memory import usable_memory
from genkit.evaluation import cache
from genkit.evaluation.extractors.extractor import Extracted, Extractor
from genkit.evaluation.functional.frechet import rank_of_features
from genkit.evaluation.scores import FoundClasses, ScoredSide
from genkit.evaluation.sources import Source
from genkit.evaluation.statistics_file import Statistics
from genkit.images.decoding import printable
from genkit.images.intake import Intake

HISTOGRAM_CLASSES = 100
"""A classifier of more classes, such as ImageNet's, gives no histogram."""


@dataclass(frozen=True)
class Read:
    """One side after extraction."""

    source: Source | None
    found: Extracted | Statistics
    fingerprint: str | None

    def describe(self, extractor: Extractor) -> ScoredSide:
        if isinstance(self.found, Statistics):
            return side_of_statistics(self.found)
        assert self.source
        x = self.found.features.double()
        classes = _classes(self.found.logits, extractor.class_names)
        rank = rank_of_features(x) if len(x) > 1 else 0
        return ScoredSide(
            self.source.name, self.source.kind, len(x), rank, self.fingerprint, self.source.notes, classes
        )


class Reader:
    """Runs the extractor over both sides, with one progress for all.

    Raises:
        DataError: a side with samples that are known to be of no use, before any is read.
    """

    def __init__(
        self,
        extractor: Extractor,
        n: int,
        seed: int,
        batch_size: int,
        use_cache: bool,
        progress: Progress | None,
        sides: Sequence[Source | Statistics],
        crew: Crew = ALONE,
    ):
        self.extractor, self.n, self.seed, self.batch_size = extractor, n, seed, batch_size
        self.use_cache, self.progress, self.warnings = use_cache, progress, list[str]()
        self.total = sum(min(n, s.available or n) for s in sides if isinstance(s, Source))
        self.done, self.crew, self.fingerprints = 0, crew, dict[int, str]()
        for side in sides:
            if isinstance(side, Source) and side.check:
                side.check(n, seed, crew)

    def read_all(self, sides: Sequence[Source | Statistics]) -> list[Read]:
        """Each side; files come first, since one of them may be damaged, and a generator may take hours."""
        read = {id(side): self.read(side) for side in sorted(sides, key=lambda side: not _of_files(side))}
        return [read[id(side)] for side in sides]

    def read(self, side: Source | Statistics) -> Read:
        if isinstance(side, Statistics):
            side.check(self.extractor)
            return Read(None, side, side.fingerprint)
        found = self.features(side)
        self.warnings += [*side.warnings, *_intake_warnings(side, self.extractor)]
        return Read(side, found, self._fingerprint(side))

    def features(self, side: Source) -> Extracted:
        """Features of a side: from the cache where it has a fingerprint, else by the extractor.

        Raises:
            EvaluationError, DataError: samples that cannot be used, or none.
        """
        if self._may_cache() and (fingerprint := self._fingerprint(side)):
            return self._cached(side, fingerprint)
        return self._extract(side)

    def _fingerprint(self, side: Source) -> str | None:
        """Found by the first process, which may have to read all files for it."""
        if not side.fingerprint:
            return None
        if id(side) not in self.fingerprints:
            self.fingerprints[id(side)] = self.crew.broadcast("" if self.crew.rank else side.fingerprint())
        return self.fingerprints[id(side)]

    def _may_cache(self) -> bool:
        return self.use_cache and self.extractor.by_content and not isinstance(self.extractor.network, nn.Identity)

    def _cached(self, side: Source, fingerprint: str) -> Extracted:
        path = cache.entry(self.extractor, fingerprint, min(self.n, side.available or self.n), self.seed)
        kept = cache.read(path)
        if all(self.crew.gathered({self.crew.rank: kept is not None})):
            assert kept
            found, side.notes = kept
            self._advance(len(found.features))
            return found
        found = self._extract(side)
        if self.crew.rank == 0 and (failure := cache.write(path, found, side.notes)):
            self.warnings.append(failure)
        return found

    def _extract(self, side: Source) -> Extracted:
        made: dict[int, tuple[tuple[int, ...], Extracted]] = {}
        for start, batch, shape in self._my_batches(side):
            made[start] = shape, self._features(side, batch, start)
            _refuse_too_many(side, self.n, made[start][1].features)
            self._advance(len(batch) * self.crew.count)
        gathered = self.crew.gathered(made)
        if not gathered:
            raise EvaluationError(f"{side.name} gave no samples")
        parts = [part for _, part in gathered]
        self._note_shapes(side, [shape for shape, _ in gathered])
        if len(widths := {p.features.shape[1] for p in parts}) > 1:
            raise EvaluationError(f"{side.name}: features of different dimensions, {sorted(widths)}; are sizes mixed?")
        logits = [p.logits for p in parts if p.logits is not None]
        return Extracted(torch.cat([p.features for p in parts]), torch.cat(logits) if logits else None)

    def _my_batches(self, side: Source) -> Iterator[tuple[int, Tensor, tuple[int, ...]]]:
        """The batches that fall to this process: the number of their first sample, the samples, and the shape that one
        has at the source. Files come prepared for the network, others do not."""
        if side.prepared:
            for batch in side.prepared(self.n, self.seed, self.batch_size, partial(self._prepared, side), self.crew):
                yield batch.position, batch.ready, batch.shape
            return
        if side.share and self.crew.count > 1:
            mine = side.share(range(self.n), self.n, self.seed, self.batch_size, self.crew)
        else:
            every = enumerate(side.batches(self.n, self.seed, self.batch_size))
            mine = (batch for k, batch in every if self.crew.has(k))
        for k, x in enumerate(mine):
            yield (k * self.crew.count + self.crew.rank) * self.batch_size, x, tuple(x.shape[1:])

    def _prepared(self, side: Source, image: Tensor) -> Tensor:
        try:
            return self.extractor.prepare(image)
        except EvaluationError as error:
            raise EvaluationError(f"{side.name}: {error}") from error

    def _note_shapes(self, side: Source, shapes: list[tuple[int, ...]]) -> None:
        """Notes of shapes (C, H, W), or (D,) of points: channels, and the size of the first where it is changed."""
        want, size = self.extractor.size, shapes[0][1:]
        if want and size and size != (want, want):
            side.notes["resized_from"] = list(size)
        if size:
            side.notes["channels"] = sorted({*side.notes.get("channels", ()), *(shape[0] for shape in shapes)})

    def _features(self, side: Source, batch: Tensor, start: int) -> Extracted:
        try:
            return self.extractor.of_prepared(batch) if side.prepared else self.extractor(batch)
        except EvaluationError as error:
            raise EvaluationError(f"{side.name}, samples from {start}: {error}") from error

    def _advance(self, samples: int) -> None:
        self.done += samples
        if self.progress:
            self.progress(min(self.done, self.total), self.total)


def _of_files(side: Source | Statistics) -> bool:
    return isinstance(side, Source) and side.kind == "files"


def _refuse_too_many(side: Source, n: int, features: Tensor) -> None:
    needed = min(n, side.available or n) * features.shape[1] * features.element_size()
    if needed > (memory := usable_memory()):
        gib = f"{needed / 2**30:,.0f} GiB of memory, and there are {memory / 2**30:,.0f}"
        raise EvaluationError(f"{side.name}: features of {n:,} samples need {gib}; ask for fewer")


def side_of_statistics(found: Statistics) -> ScoredSide:
    return ScoredSide(found.name, "statistics", found.n, found.rank, found.fingerprint)


def _classes(logits: Tensor | None, names: tuple[str, ...]) -> FoundClasses | None:
    if logits is None or not names or len(names) > HISTOGRAM_CLASSES:
        return None
    top = logits.double().softmax(1).max(1)
    shares = torch.bincount(top.indices, minlength=len(names)).double() / len(logits)
    return FoundClasses(dict(zip(names, shares.tolist(), strict=True)), top.values.mean().item())


def _intake_warnings(side: Source, extractor: Extractor) -> list[str]:
    """Warnings made from the notes, so that cached features warn as fresh ones do."""
    lines = []
    if rejected := side.notes.get("rejected"):
        name, reason = rejected[0]
        lines.append(f"{side.name}: {len(rejected)} files were left out, the first is {printable(name)}: {reason}")
    if "converted" in side.notes:
        lines += [f"{side.name}: {line}" for line in Intake.from_dict(side.notes).warnings()]
    if extractor.class_names and (size := side.notes.get("resized_from")):
        lines.append(
            f"{side.name}: images of {size[1]} x {size[0]} were resized to {extractor.size} x {extractor.size}"
        )
    return lines
