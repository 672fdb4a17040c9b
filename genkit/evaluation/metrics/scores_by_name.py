"""Metrics by name, and the scores of two sides by all that were asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import takewhile

import torch

from genkit.core.catalog import build, documented
from genkit.core.errors import EvaluationError, RecipeError, kind_of, shown, suggest
from genkit.core.table import CATALOG, lookup
from genkit.evaluation.metrics.metric import SAMPLES, Estimate, Metric, Scale, Sides

ScoreValues = dict[str, tuple[float, float | None]]
"""Score -> (value, standard error)."""

Missing = dict[str, str]
"""Metric -> why it is not given."""


def check_metrics(metrics: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """The names, once each, and a line about each that was asked for by another name; 'fd,kd' is read as two.

    Raises:
        EvaluationError: an unknown name, or none.
    """
    given = metrics.split(",") if isinstance(metrics, str) else list(metrics)
    names, lines = dict[str, None](), list[str]()
    for asked in given:
        if not isinstance(asked, str):
            raise EvaluationError(f"no metric {shown(asked)}; accepted: {', '.join(CATALOG['metrics'])}")
        if not (asked := asked.strip()):
            continue
        known = next((name for name in (asked, asked.lower()) if lookup(name, ("metrics",))), None)
        name, line = (known, "") if known else _by_score(asked)
        metric_named(name)
        names[name] = None
        lines += [line] if line else []
    if not names:
        raise EvaluationError(f"no metrics were asked for; accepted: {', '.join(CATALOG['metrics'])}")
    return tuple(names), lines


def _by_score(asked: str) -> tuple[str, str]:
    """The metric with the score `asked`, or with one that is published under this name, and a line that says so."""
    for name, scale in _all_scales():
        if asked.lower() == scale.name:
            return name, f"{asked} is a score of {name}, which is given whole"
        if scale.published and asked.lower() == scale.published.lower():
            only = "with the published Inception weights (extractor inception)"
            return name, f"{asked} is given as {name}, and called {scale.published} {only} alone"
    return asked, ""


def _all_scales() -> Iterator[tuple[str, Scale]]:
    """The scores of every metric in the table, with its name; a plugin that fails gives none."""
    for name in tuple(CATALOG["metrics"]):
        with suppress(Exception):
            yield from [(name, scale) for scale in _made(name).scores]


def metric_named(name: str) -> Metric:
    """The metric of this name in the table.

    Raises:
        EvaluationError: there is none.
        RecipeError: it cannot be imported, does not fulfil its contract, or gives a score of another one's name.
    """
    found = lookup(name, ("metrics",))
    if found is None:
        raise EvaluationError(f"no metric {shown(name)}{suggest(name, CATALOG['metrics'])}")
    metric = _made(name)
    if not found[1].target.startswith("genkit."):
        _check_names(name, metric)
    return metric


def _check_names(name: str, metric: Metric) -> None:
    """Raises RecipeError where a metric of others gives a score that is called as one of a metric before it."""
    own = {word for scale in metric.scores for word in (scale.name, scale.published) if word}
    for other, scale in takewhile(lambda found: found[0] != name, _all_scales()):
        if taken := own & {scale.name, scale.published}:
            raise RecipeError(
                f"metric {name}: {min(taken)!r} is a score of {other} already; give its score another name"
            )


def _made(name: str) -> Metric:
    metric: Metric = build({"type": name}, kind="metrics", where=f"metric {name}")
    if not getattr(metric, "scores", ()) or not all(isinstance(scale, Scale) for scale in metric.scores):
        raise RecipeError(f"metric {name}: {type(metric).__name__}.scores must name its scores; {documented(Metric)}")
    return metric


def scale_of(score: str) -> Scale | None:
    """The scale of a score, by its name alone; None for one that no metric gives."""
    return next((scale for _, scale in _all_scales() if scale.name == score), None)


def given_scores(metrics: Sequence[str]) -> list[str]:
    """The scores that metrics give; of a name that is none, such as `accuracy`, none."""
    try:
        return [scale.name for name in check_metrics(metrics)[0] for scale in metric_named(name).scores]
    except EvaluationError:
        return []


def score_named(asked: str, scores: Iterable[str]) -> str | None:
    """The one of `scores` that is called `asked`, in any case, or is published under this name; None where none is."""
    for name in scores:
        scale = scale_of(name)
        if asked.lower() in {name.lower(), scale.published.lower() if scale else ""}:
            return name
    return None


def label(score: str, extractor: str, published: bool) -> str:
    """The published name of a score: FID for the published Inception weights, else FD/<extractor>."""
    scale = scale_of(score) or Scale(score, "lower")
    if published and scale.published:
        variant = extractor.partition("/")[2]
        return scale.published + (f"/{variant}" if variant else "")
    return f"{scale.label or score}/{extractor}"


def compute(metrics: Sequence[str], sides: Sides) -> tuple[ScoreValues, Missing]:
    """Every metric of the two sides that can be computed, and the reasons why others cannot.

    Raises:
        EvaluationError: none can be computed, with the reason for the first.
    """
    values, missing = ScoreValues(), Missing()
    for names, metric in _joined(metrics):
        try:
            values |= _values(names[0], metric, sides)
        except (EvaluationError, torch.linalg.LinAlgError) as reason:
            missing |= dict.fromkeys(names, " ".join(str(reason).split()))
    if not values:
        name = next(iter(missing))
        raise EvaluationError(f"metric {name}: {missing[name]}")
    return values, missing


def _joined(names: Sequence[str]) -> Iterator[tuple[list[str], Metric]]:
    """The metrics one by one, then those that share a computation."""
    groups: list[tuple[list[str], Metric]] = []
    for name in names:
        metric = metric_named(name)
        if type(metric).joined is Metric.joined:
            yield [name], metric
            continue
        for i, (others, so_far) in enumerate(groups):
            if both := so_far.joined(metric):
                groups[i] = ([*others, name], both)
                break
        else:
            groups.append(([name], metric))
    yield from groups


def _values(name: str, metric: Metric, sides: Sides) -> ScoreValues:
    if SAMPLES in metric.needs and not sides.of_samples:
        raise EvaluationError(f"{name}: statistics hold a mean and a covariance only, and no samples")
    found = metric(sides)
    for score, estimate in found.items():
        if score not in {scale.name for scale in metric.scores} or not isinstance(estimate, Estimate):
            names = ", ".join(scale.name for scale in metric.scores)
            raise RecipeError(
                f"metric {name} gave {kind_of(estimate)} as {shown(score)}; it gives an Estimate of {names}"
            )
        if not math.isfinite(estimate.value):
            raise EvaluationError(f"{score} is {estimate.value}: the features are too large for it")
    return {score: (estimate.value, estimate.error()) for score, estimate in found.items()}
