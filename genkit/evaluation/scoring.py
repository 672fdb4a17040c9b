"""Score one set of images or points against another."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from genkit.decoding import printable
from genkit.errors import EvaluationError
from genkit.evaluation import cache
from genkit.evaluation.extractor import Extracted, Extractor, label
from genkit.evaluation.features import extractor_for
from genkit.evaluation.functional.frechet import rank_of_features
from genkit.evaluation.metrics_by_name import HIGHER_IS_BETTER, NEIGHBOURS, SETTINGS, check_metrics, compute
from genkit.evaluation.scores import Classes, Score, Scores, Side
from genkit.evaluation.sources import Source, open_source
from genkit.evaluation.statistics_file import Statistics

Progress = Callable[[int, int], None]
HISTOGRAM_CLASSES = 100
"""A classifier of more classes, such as ImageNet's, gives no histogram."""


def evaluate(
    a: Any,
    against: Any,
    metrics: Sequence[str] = ("fd", "kd", "pr"),
    n: int = 10_000,
    extractor: Extractor | nn.Module | str | None = None,
    seed: int = 0,
    batch_size: int = 64,
    progress: Progress | None = None,
    *,
    weights: str | Path | None = None,
    on_bad: Literal["error", "skip"] = "error",
    use_cache: bool = True,
) -> Scores:
    """Scores of `a` against `against`.

    Args:
        a, against: a Generator, a data set, an iterable of image batches, a path (folder or zip of images, `.npz`
            statistics, weights or run folder) or the name of a data set; see `genkit.evaluation.sources.open_source`.
        metrics: names in `METRICS`.
        n: samples of each side; a side that has fewer gives all, with a warning.
        extractor: see `extractor_for`; None chooses by the reference data.
        seed: of a generator's samples and of the rows drawn from a data set.
        batch_size: changes speed alone.
        progress: called with (samples done, samples in total).
        weights: a file with the extractor's weights.
        on_bad: what a damaged file in a folder does: "error", or "skip" with a warning.
        use_cache: keep and reuse the features of real data, see `genkit.evaluation.cache`.

    Raises:
        EvaluationError: too few samples, statistics of another extractor, unknown names, features that are not finite.
        DataError: images that cannot be used, by file or index.
    """
    started = time.monotonic()
    names, n = check_metrics(metrics), check_n(n)
    fake, real = open_source(a, "the set to score", on_bad), open_source(against, "the reference", on_bad)
    if isinstance(real, Statistics) and isinstance(fake, Statistics):
        return _of_statistics(names, real, fake, n, seed, started)
    judge = _judge(real, fake, extractor, weights)
    reader = Reader(judge, n, seed, batch_size, use_cache, progress, [real, fake])
    sides = [reader.read(side) for side in (real, fake)]
    values = compute(names, sides[0].found, sides[1].found, seed)
    described = [side.describe(judge) for side in sides]
    dim = next(s.found.features.shape[1] for s in sides if isinstance(s.found, Extracted))
    return Scores(
        scores=_scores(values, judge.name, judge.published),
        a=described[1],
        against=described[0],
        extractor=judge.describe(),
        dim=dim,
        n=n,
        seed=seed,
        settings=_settings(names),
        warnings=[*reader.warnings, *_warnings(described[0], described[1], n, dim, names)],
        seconds=time.monotonic() - started,
    )


def statistics(
    data: Any,
    n: int | None = None,
    extractor: Extractor | nn.Module | str | None = None,
    seed: int = 0,
    batch_size: int = 64,
    progress: Progress | None = None,
    *,
    weights: str | Path | None = None,
    on_bad: Literal["error", "skip"] = "error",
) -> tuple[Statistics, list[str]]:
    """Mean and covariance of the features of `data`, and warnings; arguments and errors as `evaluate`.

    Args:
        n: None takes all of a data set; samples that are made anew need a number.
    """
    source = open_source(data, "the data", on_bad)
    if isinstance(source, Statistics):
        raise EvaluationError(f"{source.name} holds statistics already; give images, weights or a data set")
    n = source.available if n is None else check_n(n)
    if n is None:
        raise EvaluationError(f"{source.name} has no end; say how many samples with n")
    judge = extractor_for(extractor, source.name, source.sample_shape, weights)
    reader = Reader(judge, n, seed, batch_size, True, progress, [source])
    side = reader.read(source)
    assert isinstance(side.found, Extracted)
    made = Statistics.of(side.found.features, judge, source.name, side.fingerprint or "", seed)
    return made, [*reader.warnings, *_few(source.name, made.n, len(made.mu), n)]


def check_n(n: Any) -> int:
    """Raises EvaluationError unless n is a whole number of at least 2."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 2:
        raise EvaluationError(f"the number of samples must be a whole number of at least 2, got {n!r}")
    return n


@dataclass(frozen=True)
class Read:
    """One side after extraction."""

    source: Source | None
    found: Extracted | Statistics
    fingerprint: str | None

    def describe(self, extractor: Extractor) -> Side:
        if isinstance(self.found, Statistics):
            return _side_of_statistics(self.found)
        assert self.source
        x = self.found.features.double()
        classes = _classes(self.found.logits, extractor.class_names)
        rank = rank_of_features(x) if len(x) > 1 else 0
        return Side(self.source.name, self.source.kind, len(x), rank, self.fingerprint, self.source.notes, classes)


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
    ):
        self.extractor, self.n, self.seed, self.batch_size = extractor, n, seed, batch_size
        self.use_cache, self.progress, self.warnings = use_cache, progress, list[str]()
        self.total = sum(min(n, s.available or n) for s in sides if isinstance(s, Source))
        self.done = 0

    def read(self, side: Source | Statistics) -> Read:
        if isinstance(side, Statistics):
            side.check(self.extractor)
            return Read(None, side, side.fingerprint)
        fingerprint = side.fingerprint() if side.fingerprint else None
        found = self._cached(side, fingerprint) if fingerprint and self._may_cache() else self._extract(side)
        self.warnings += [*side.warnings, *_intake_warnings(side, self.extractor)]
        return Read(side, found, fingerprint)

    def _may_cache(self) -> bool:
        return self.use_cache and self.extractor.by_content and not isinstance(self.extractor.network, nn.Identity)

    def _cached(self, side: Source, fingerprint: str) -> Extracted:
        path = cache.entry(self.extractor, fingerprint, min(self.n, side.available or self.n), self.seed)
        if kept := cache.read(path):
            found, side.notes = kept
            self._advance(len(found.features))
            return found
        found = self._extract(side)
        if failure := cache.write(path, found, side.notes):
            self.warnings.append(failure)
        return found

    def _extract(self, side: Source) -> Extracted:
        parts: list[Extracted] = []
        for batch in side.batches(self.n, self.seed, self.batch_size):
            parts.append(self._features(side, batch, sum(len(p.features) for p in parts)))
            self._advance(len(batch))
        if not parts:
            raise EvaluationError(f"{side.name} gave no samples")
        if len(widths := {p.features.shape[1] for p in parts}) > 1:
            raise EvaluationError(f"{side.name}: features of different dimensions, {sorted(widths)}; are sizes mixed?")
        logits = [p.logits for p in parts if p.logits is not None]
        return Extracted(torch.cat([p.features for p in parts]), torch.cat(logits) if logits else None)

    def _features(self, side: Source, batch: Tensor, start: int) -> Extracted:
        size, want = tuple(batch.shape[2:]), self.extractor.size
        if start == 0 and want and size and size != (want, want):
            side.notes["resized_from"] = list(size)
        try:
            return self.extractor(batch)
        except EvaluationError as error:
            raise EvaluationError(f"{side.name}, samples from {start}: {error}") from error

    def _advance(self, samples: int) -> None:
        self.done += samples
        if self.progress:
            self.progress(min(self.done, self.total), self.total)


def _judge(
    real: Source | Statistics,
    fake: Source | Statistics,
    spec: Extractor | nn.Module | str | None,
    weights: str | Path | None,
) -> Extractor:
    """The extractor: as asked for, as the statistics say, or by the reference data."""
    for side in (real, fake):
        if spec is None and isinstance(side, Statistics):
            spec = str(side.extractor.get("name"))
    shape = next((s.sample_shape for s in (real, fake) if isinstance(s, Source) and s.sample_shape), None)
    return extractor_for(spec, real.name, shape, weights)


def _scores(values: dict[str, tuple[float, float | None]], extractor: str, published: bool) -> dict[str, Score]:
    return {
        name: Score(label(name, extractor, published), value, error, "higher" if name in HIGHER_IS_BETTER else "lower")
        for name, (value, error) in values.items()
    }


def _of_statistics(
    names: Sequence[str], real: Statistics, fake: Statistics, n: int, seed: int, started: float
) -> Scores:
    """Two statistics files need no extractor, only the same one."""
    if real.extractor_id != fake.extractor_id:
        raise EvaluationError(
            f"{fake.name} and {real.name} hold statistics of different extractors, "
            f"{fake.extractor.get('name')} and {real.extractor.get('name')} (or other weights of it)"
        )
    values = compute(names, real, fake, seed)
    name, published = str(real.extractor.get("name")), bool(real.extractor.get("published"))
    return Scores(
        scores=_scores(values, name, published),
        a=_side_of_statistics(fake),
        against=_side_of_statistics(real),
        extractor=real.extractor,
        dim=len(real.mu),
        n=n,
        seed=seed,
        settings=_settings(names),
        warnings=[],
        seconds=time.monotonic() - started,
    )


def _side_of_statistics(found: Statistics) -> Side:
    return Side(found.name, "statistics", found.n, found.rank, found.fingerprint)


def _classes(logits: Tensor | None, names: tuple[str, ...]) -> Classes | None:
    if logits is None or not names or len(names) > HISTOGRAM_CLASSES:
        return None
    top = logits.double().softmax(1).max(1)
    shares = torch.bincount(top.indices, minlength=len(names)).double() / len(logits)
    return Classes(dict(zip(names, shares.tolist(), strict=True)), top.values.mean().item())


def _settings(names: Sequence[str]) -> dict[str, Any]:
    return {key: value for name in names for key, value in SETTINGS.get(name, {}).items()}


def _warnings(real: Side, fake: Side, n: int, dim: int, names: Sequence[str]) -> list[str]:
    found = [line for side in (fake, real) for line in _few(side.name, side.n, dim, n, side.kind)]
    if real.n != fake.n and any(name in NEIGHBOURS for name in names):
        found.append(f"{fake.n} samples against {real.n}: precision, recall and their kin depend on both numbers")
    if fake.fingerprint and fake.fingerprint == real.fingerprint:
        found.append("both sides are the same data")
    return found


def _intake_warnings(side: Source, extractor: Extractor) -> list[str]:
    """From the notes, so that cached features warn as fresh ones do."""
    lines = []
    if rejected := side.notes.get("rejected"):
        name, reason = rejected[0]
        lines.append(f"{side.name}: {len(rejected)} files were left out, the first is {printable(name)}: {reason}")
    if extractor.class_names and (size := side.notes.get("resized_from")):
        lines.append(
            f"{side.name}: images of {size[1]} x {size[0]} were resized to {extractor.size} x {extractor.size}"
        )
    return lines


def _few(name: str, have: int, dim: int, asked: int, kind: str = "") -> list[str]:
    lines = []
    if have < asked and kind != "statistics":
        lines.append(f"{name}: {have} samples instead of {asked}")
    if have <= dim:
        lines.append(f"{name}: {have} samples for {dim} dimensions; distances are biased upwards")
    return lines
