"""Several runs of one entry as a mean with a confidence interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from genkit.evaluation.metrics.metric import Scale
from genkit.evaluation.metrics.scores_by_name import scale_of

NORMAL = 1.959964


def summarise(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Metric -> label, better, values by seed, mean and 95 % interval; see `interval`.

    Args:
        runs: `Scores.to_json()` of every seed; a metric that one of them lacks is summarised over the others.
    """
    names = dict.fromkeys(name for run in runs for name in run["values"])
    return {name: _of([r for r in runs if name in r["values"]], name) for name in names}


def _of(runs: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    values, errors = [r["values"][name] for r in runs], [r["standard_errors"][name] for r in runs]
    scale = scale_of(name) or Scale(name, runs[0]["better"][name])
    found = interval(values, errors, (scale.low, scale.high))
    return {"label": runs[0]["labels"][name], "better": runs[0]["better"][name], **found}


def interval(
    values: Sequence[float], errors: Sequence[float | None], bounds: tuple[float, float] = (-math.inf, math.inf)
) -> dict[str, Any]:
    """Mean with the ends `low` and `high` of its 95 % interval, which never leave the metric's range.

    Two seeds or more: from the spread of their values by Student's t, which covers samples, rows and, where every seed
    was trained anew, training. Seeds that take the same rows do not differ in them, so it is never narrower than by the
    standard error of one seed, which covers samples and reference. One seed: from that alone. `interval` says which;
    the ends are None when nothing is known of the spread.

    The interval is Wilson's (1927), for any range [a, b]: the values v with |mean - v| <= t s(v). The variance s(v)^2
    is the one estimated at the mean, times (v - a)(b - v) over its value there, so it vanishes at the ends, as that of
    a share or of a distance does. Far from both ends this is mean +- t s. At an end no spread is seen, and the interval
    is that point.

    Args:
        values: of one seed or more.
        errors: their standard errors; None where unknown.
        bounds: lowest and highest possible value.
    """
    known = [e for e in errors if e is not None]
    mean, how = fmean(values), "none"
    low: float | None = None
    high: float | None = None
    error = fmean(known) if known else None
    halves = dict[str, float]()
    if len(values) > 1:
        from scipy.special import stdtrit

        halves["seeds"] = float(stdtrit(len(values) - 1, 0.975)) * stdev(values) / math.sqrt(len(values))
    if error is not None:
        halves["standard error"] = NORMAL * error
    if halves:
        how = max(halves, key=halves.__getitem__)
        low, high = within(mean, halves[how], *bounds)
    return {"mean": mean, "low": low, "high": high, "interval": how, "values": list(values), "standard_error": error}


def within(mean: float, half: float, lowest: float, highest: float) -> tuple[float, float]:
    """The interval about `mean` whose half-width would be `half` far from both ends of the range.

    With u = mean - lowest, w = highest - mean and v = mean + x it solves x^2 = half^2 (u + x)(w - x) / (u w); in a
    range without a highest value x^2 = half^2 (u + x) / u, and in one without any ends x^2 = half^2.
    """
    u, w = max(mean - lowest, 0.0), max(highest - mean, 0.0)
    if not half or not u or not w:
        return mean, mean
    c = half**2 / (u * w)
    lean = (half**2 / u if math.isinf(w) else c * (w - u)) if math.isfinite(u) else 0.0
    root = math.sqrt(lean**2 + 4 * (1 + c) * half**2)
    ends = [mean + (lean + sign * root) / (2 * (1 + c)) for sign in (-1, 1)]
    return max(ends[0], lowest), min(ends[1], highest)


def best(summaries: Sequence[dict[str, dict[str, Any]]]) -> dict[str, int]:
    """Metric -> position of the entry whose mean is best."""
    found = {}
    for name in dict.fromkeys(n for summary in summaries for n in summary):
        sign = 1 if next(s[name]["better"] for s in summaries if name in s) == "lower" else -1
        rows = [(sign * s[name]["mean"], i) for i, s in enumerate(summaries) if name in s]
        found[name] = min(rows)[1]
    return found
