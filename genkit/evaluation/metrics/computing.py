"""Metrics by name, and the scores of two sides by all that were asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from genkit.core.catalog import imported
from genkit.core.errors import EvaluationError, shown, suggest
from genkit.core.table import CATALOG, lookup
from genkit.evaluation.metrics.metric import SAMPLES, Metric, Scale, Sides

ScoreValues = dict[str, tuple[float, float | None]]
"""Score -> (value, standard error)."""

Missing = dict[str, str]
"""Metric -> why it is not given."""


def check_metrics(metrics: Sequence[str]) -> tuple[str, ...]:
    """The names, once each; 'fd,kd' is read as two.

    Raises:
        EvaluationError: an unknown name, or none.
    """
    given = metrics.split(",") if isinstance(metrics, str) else list(metrics)
    names = tuple(dict.fromkeys(name.strip() for name in given))
    for name in names:
        metric_named(name)
    if not names:
        raise EvaluationError(f"no metrics were asked for; accepted: {', '.join(CATALOG['metrics'])}")
    return names


def metric_named(name: str) -> Metric:
    """The metric of this name in the table.

    Raises:
        EvaluationError: there is none.
        RecipeError: it cannot be imported, or does not fulfil its contract.
    """
    found = lookup(name, ("metrics",))
    if found is None:
        raise EvaluationError(f"no metric {shown(name)}{suggest(name, CATALOG['metrics'])}")
    metric: Metric = imported(name, found)()
    return metric


def scale_of(score: str) -> Scale | None:
    """The scale of a score, by its name alone; None for one that no metric gives."""
    scales = (scale for name in CATALOG["metrics"] for scale in metric_named(name).scores)
    return next((scale for scale in scales if scale.name == score), None)


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
        if not math.isfinite(estimate.value):
            raise EvaluationError(f"{score} is {estimate.value}: the features are too large for it")
    return {score: (estimate.value, estimate.error()) for score, estimate in found.items()}
