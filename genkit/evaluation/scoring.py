"""Score one set of images or points against another."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from genkit.core.computing import exact
from genkit.core.counts import checked_seed, count
from genkit.core.crew import ALONE, Crew
from genkit.core.display import reporting
from genkit.core.errors import EvaluationError
from genkit.core.interruption import beside
from genkit.core.mixture import PointMixture
from genkit.core.progress import Progress
from genkit.core.usable_memory import usable_memory
from genkit.evaluation import two_sides
from genkit.evaluation.extractors.choice import POINTS, check_extractor, default_extractor, extractor_for
from genkit.evaluation.extractors.extractor import Extracted, Extractor
from genkit.evaluation.metrics.metric import Sides
from genkit.evaluation.metrics.scores_by_name import ScoreValues, compute, label, metric_named
from genkit.evaluation.opening import open_sides, open_source
from genkit.evaluation.possible import Wanted, check_fit, left_out
from genkit.evaluation.reading import Reader, side_of_statistics
from genkit.evaluation.scores import Score, Scores
from genkit.evaluation.sources import Source
from genkit.evaluation.statistics_file import Statistics

SMALLEST = 2 * 4
"""Smallest size of the features of a sample in bytes: that of points in the plane."""


def evaluate(
    a: Any,
    against: Any,
    metrics: Sequence[str] | None = None,
    n: int = 10_000,
    extractor: Extractor | nn.Module | str | None = None,
    seed: int = 0,
    batch_size: int = 64,
    progress: Progress | bool = True,
    *,
    weights: str | Path | None = None,
    skip_bad: bool = False,
    use_cache: bool = True,
    crew: Crew = ALONE,
) -> Scores:
    """Scores of `a` against `against`.

    Args:
        a, against: a Generator, a data set, an iterable of image batches, a path (folder or zip of images, `.npz`
            statistics, weights or run folder) or the name of a data set; see `genkit.evaluation.opening.open_source`.
        metrics: names from `genkit list metrics`, or of their scores: "fid" is fd, and a warning says so. None takes
            those of fd, kd and pr that these sides allow, and modes where the reference has some.
        n: samples of each side; a side that has fewer gives all, with a warning.
        extractor: see `extractor_for`; None chooses by the reference data.
        seed: of a generator's samples and of the rows drawn from a data set.
        batch_size: changes speed alone.
        progress: called with (samples done, samples in total); True shows a bar on a terminal or in a notebook.
        weights: a file with the extractor's weights.
        skip_bad: leave out damaged files of a folder, with a warning.
        use_cache: keep and reuse the features of real data, see `genkit.evaluation.cache`.
        crew: processes that share out the samples of a generator and all features, batch by batch, and have the same
            scores; each of them calls this.

    The arguments are checked as far as possible before anything is drawn, decoded or downloaded. A metric that turns
    out not to be computable costs no other; `Scores.missing` gives the reason.

    Raises:
        EvaluationError: too few samples, statistics of another extractor, unknown names, features that are not finite.
        DataError: images that cannot be used, by file or index.
    """
    started = time.monotonic()
    batch_size = count("batch size", batch_size, 1, EvaluationError)
    seed = checked_seed(seed, EvaluationError)
    wanted, fake, real = _opened(a, against, metrics, n, extractor, weights, skip_bad)
    if isinstance(real, Statistics) and isinstance(fake, Statistics):
        return _of_statistics(wanted, real, fake, seed, started)
    judge = _judge(real, fake, extractor, weights, wanted)
    with reporting(progress, "features", "sample") as tell:
        reader = Reader(judge, n, seed, batch_size, use_cache, tell, [real, fake], crew)
        sides = reader.read_all([real, fake])
    compared = Sides(sides[0].found, sides[1].found, seed, _mixture(real, judge))
    with exact():
        values, failed = beside(lambda: compute(wanted.names, compared))
    missing, names = {**wanted.missing, **failed}, [name for name in wanted.names if name not in failed]
    described = beside(lambda: [side.describe(judge) for side in sides])
    dim = next(s.found.features.shape[1] for s in sides if isinstance(s.found, Extracted))
    return Scores(
        scores=_scores(wanted, values, judge.name, judge.published),
        a=described[1],
        against=described[0],
        extractor=judge.describe(),
        dim=dim,
        n=n,
        seed=seed,
        settings=_settings(names),
        warnings=[
            *wanted.lines,
            *left_out(missing),
            *reader.warnings,
            *two_sides.of_sides(described[0], described[1], n, dim, names, judge.channels),
            *two_sides.of_samples(real, fake, compared),
        ],
        seconds=time.monotonic() - started,
        missing=missing,
    )


def check(
    a: Any, against: Any, metrics: Sequence[str], n: int, extractor: Extractor | nn.Module | str | None
) -> Extractor:
    """The extractor that `evaluate` would use, found before anything is drawn; arguments and errors as there."""
    wanted, fake, real = _opened(a, against, metrics, n, extractor, None, False)
    return _judge(real, fake, extractor, None, wanted)


def _opened(
    a: Any,
    against: Any,
    metrics: Sequence[str] | None,
    n: int,
    extractor: Extractor | nn.Module | str | None,
    weights: str | Path | None,
    skip_bad: bool,
) -> tuple[Wanted, Source | Statistics, Source | Statistics]:
    """The metrics and both sides, opened and not yet read."""
    wanted = Wanted(metrics, check_n(n))
    if extractor is not None:
        check_extractor(extractor, weights)
    sides = [(a, "the set to score"), (against, "the reference")]
    fake, real = open_sides(sides, skip_bad, wanted)
    _check_alone(real)
    return wanted, fake.over(real) if isinstance(fake, Source) else fake, real


def statistics(
    data: Any,
    n: int | None = None,
    extractor: Extractor | nn.Module | str | None = None,
    seed: int = 0,
    batch_size: int = 64,
    progress: Progress | None = None,
    *,
    weights: str | Path | None = None,
    skip_bad: bool = False,
    crew: Crew = ALONE,
) -> tuple[Statistics, list[str]]:
    """Mean and covariance of the features of `data`, and warnings; arguments and errors as `evaluate`.

    Args:
        n: None takes all of a data set; samples that are made anew need a number.
    """
    if extractor is not None:
        check_extractor(extractor, weights)
    source = open_source(data, "the data", skip_bad)
    if isinstance(source, Statistics):
        raise EvaluationError(f"{source.name} holds statistics already; give images, weights or a data set")
    _check_alone(source)
    n = source.available if n is None else check_n(n)
    if n is None:
        raise EvaluationError(f"{source.name} has no end; give a number n of samples")
    judge = extractor_for(extractor, source.name, source.sample_shape, weights)
    check_fit(judge, [source])
    reader = Reader(judge, n, seed, batch_size, True, progress, [source], crew)
    side = reader.read(source)
    assert isinstance(side.found, Extracted)
    features, fingerprint = side.found.features, side.fingerprint or ""
    made = beside(lambda: Statistics.of(features, judge, source.name, fingerprint, seed))
    return made, [*reader.warnings, *two_sides.too_few(source.name, made.n, len(made.mu), n)]


def _check_alone(source: Source | Statistics) -> None:
    """Raises EvaluationError for a generator that needs parts of real samples, where there are none."""
    if isinstance(source, Source) and source.generator is not None and source.generator.made:
        raise EvaluationError(
            f"{source.name} needs {source.generator.made[0]} of real images and can only be scored itself, against a "
            "data set; draw samples of it first, and name their folder"
        )


def check_n(n: Any) -> int:
    """Raises EvaluationError unless n is a whole number of at least 2, whose features fit into memory."""
    n = count("number of samples", n, 2, EvaluationError)
    if n > (most := usable_memory() // SMALLEST):
        raise EvaluationError(f"the features of {n:,} samples find no room in memory; take at most {most:,}")
    return n


def _judge(
    real: Source | Statistics,
    fake: Source | Statistics,
    spec: Extractor | nn.Module | str | None,
    weights: str | Path | None,
    wanted: Wanted,
) -> Extractor:
    """The extractor: as asked for, of the statistics, or by the reference data; checked against sides and metrics."""
    for side in (real, fake):
        if spec is None and isinstance(side, Statistics):
            spec = str(side.extractor.get("name"))
    shape = next((s.sample_shape for s in (real, fake) if isinstance(s, Source) and s.sample_shape), None)
    chosen = default_extractor(real.name, shape) if spec is None else spec
    wanted.by_name_of(chosen)
    judge = extractor_for(chosen, weights=weights)
    wanted.by(judge.logits)
    check_fit(judge, [real, fake])
    wanted.over(_mixture(real, judge), real.name if judge.name == POINTS else f"extractor {judge.name}")
    return judge


def _mixture(real: Source | Statistics, judge: Extractor) -> PointMixture | None:
    """The mixture that the reference was drawn from, where it is known and points are compared as they are."""
    return real.mixture if isinstance(real, Source) and judge.name == POINTS else None


def _scores(wanted: Wanted, values: ScoreValues, extractor: str, published: bool) -> dict[str, Score]:
    scales = {scale.name: scale for name in wanted.names for scale in metric_named(name).scores}
    return {
        name: Score(label(name, extractor, published), value, error, scales[name].better)
        for name, (value, error) in values.items()
    }


def _of_statistics(wanted: Wanted, real: Statistics, fake: Statistics, seed: int, started: float) -> Scores:
    """Two statistics files need no extractor, only the same one."""
    if real.extractor_id != fake.extractor_id:
        raise EvaluationError(
            f"{fake.name} and {real.name} hold statistics of different extractors, "
            f"{fake.extractor.get('name')} and {real.extractor.get('name')} (or other weights of it)"
        )
    values, _ = beside(lambda: compute(wanted.names, Sides(real, fake, seed)))
    name, a, against = str(real.extractor.get("name")), side_of_statistics(fake), side_of_statistics(real)
    return Scores(
        scores=_scores(wanted, values, name, real.published),
        a=a,
        against=against,
        extractor=real.extractor,
        dim=len(real.mu),
        n=wanted.n,
        seed=seed,
        settings=_settings(wanted.names),
        warnings=[
            *wanted.lines,
            *left_out(wanted.missing),
            *two_sides.of_sides(against, a, wanted.n, len(real.mu), wanted.names, None),
        ],
        seconds=time.monotonic() - started,
        missing=wanted.missing,
    )


def _settings(names: Sequence[str]) -> dict[str, Any]:
    return {key: value for name in names for key, value in metric_named(name).settings.items()}
