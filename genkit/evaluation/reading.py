"""From a source to features: batch by batch through the extractor, or from the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

import torch
from torch import Tensor, nn

from genkit.core.crew import Crew
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
    """Runs the extractor over both sides, with one progress for all."""

    def __init__(
        self,
        extractor: Extractor,
        n: int,
        seed: int,
        batch_size: int,
        use_cache: bool,
        progress: Progress | None,
        sides: Sequence[Source | Statistics],
        crew: Crew | None = None,
    ):
        self.extractor, self.n, self.seed, self.batch_size = extractor, n, seed, batch_size
        self.use_cache, self.progress, self.warnings = use_cache, progress, list[str]()
        self.total = sum(min(n, s.available or n) for s in sides if isinstance(s, Source))
        self.done, self.crew = 0, crew or Crew()

    def read(self, side: Source | Statistics) -> Read:
        if isinstance(side, Statistics):
            side.check(self.extractor)
            return Read(None, side, side.fingerprint)
        found = self.features(side)
        self.warnings += [*side.warnings, *_intake_warnings(side, self.extractor)]
        return Read(side, found, side.fingerprint() if side.fingerprint else None)

    def features(self, side: Source) -> Extracted:
        """Features of a side: from the cache where it has a fingerprint, else by the extractor.

        Raises:
            EvaluationError, DataError: samples that cannot be used, or none.
        """
        if side.fingerprint and self._may_cache():
            return self._cached(side, side.fingerprint())
        return self._extract(side)

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
        made: dict[int, Extracted] = {}
        for k, batch, shape in self._my_batches(side):
            self._note_shape(side, shape, first=not made)
            made[k] = self._features(side, batch, k * self.batch_size)
            _refuse_too_many(side, self.n, made[k].features)
            self._advance(len(batch) * self.crew.count)
        parts = self.crew.gathered(made)
        if not parts:
            raise EvaluationError(f"{side.name} gave no samples")
        if len(widths := {p.features.shape[1] for p in parts}) > 1:
            raise EvaluationError(f"{side.name}: features of different dimensions, {sorted(widths)}; are sizes mixed?")
        logits = [p.logits for p in parts if p.logits is not None]
        return Extracted(torch.cat([p.features for p in parts]), torch.cat(logits) if logits else None)

    def _my_batches(self, side: Source) -> Iterator[tuple[int, Tensor, tuple[int, ...]]]:
        """The batches that fall to this process, with their numbers; whatever is not made anew is read by every one."""
        if side.share and self.crew.count > 1:
            numbers = (k for k in count() if self.crew.has(k))
            for k, batch in zip(numbers, side.share(self.n, self.seed, self.batch_size, self.crew), strict=False):
                yield k, batch, tuple(batch.shape[1:])
            return
        for k, (batch, shape) in enumerate(self._batches(side)):
            if self.crew.has(k):
                yield k, batch, shape

    def _batches(self, side: Source) -> Iterator[tuple[Tensor, tuple[int, ...]]]:
        """Batches, and the shape of their samples at the source; files come prepared for the network, others do not."""
        if side.prepared:
            yield from side.prepared(self.n, self.seed, self.batch_size, partial(self._prepared, side))
            return
        for batch in side.batches(self.n, self.seed, self.batch_size):
            yield batch, tuple(batch.shape[1:])

    def _prepared(self, side: Source, image: Tensor) -> Tensor:
        try:
            return self.extractor.prepare(image)
        except EvaluationError as error:
            raise EvaluationError(f"{side.name}: {error}") from error

    def _note_shape(self, side: Source, shape: tuple[int, ...], first: bool) -> None:
        want, size = self.extractor.size, shape[1:]
        if first and want and size and size != (want, want):
            side.notes["resized_from"] = list(size)
        if size:
            side.notes["channels"] = sorted({*side.notes.get("channels", ()), shape[0]})

    def _features(self, side: Source, batch: Tensor, start: int) -> Extracted:
        try:
            return self.extractor.of_prepared(batch) if side.prepared else self.extractor(batch)
        except EvaluationError as error:
            raise EvaluationError(f"{side.name}, samples from {start}: {error}") from error

    def _advance(self, samples: int) -> None:
        self.done += samples
        if self.progress:
            self.progress(min(self.done, self.total), self.total)


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
