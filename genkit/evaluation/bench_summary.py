"""Several runs of one entry as a mean with a confidence interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

NORMAL = 1.959964


def summarise(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Metric -> label, better, values by seed, mean and half-width of a 95 % interval.

    Two seeds or more: Student's t interval of their values, which covers samples, rows and, where every seed was
    trained anew, training. One seed: 1.96 standard errors, which cover the samples alone. `interval` says which.

    Args:
        runs: `Scores.to_json()` of every seed.
    """
    return {
        name: {
            "label": runs[0]["labels"][name],
            "better": runs[0]["better"][name],
            **interval([r["values"][name] for r in runs], [r["standard_errors"][name] for r in runs]),
        }
        for name in runs[0]["values"]
    }


def interval(values: Sequence[float], errors: Sequence[float | None]) -> dict[str, Any]:
    """Mean and half-width of the 95 % interval; the half-width is None when nothing is known of the spread."""
    known = [e for e in errors if e is not None]
    half: float | None = None
    how = "none"
    if len(values) > 1:
        from scipy.special import stdtrit

        half, how = float(stdtrit(len(values) - 1, 0.975)) * stdev(values) / math.sqrt(len(values)), "seeds"
    elif known:
        half, how = NORMAL * known[0], "standard error"
    error = fmean(known) if known else None
    return {"mean": fmean(values), "half_width": half, "interval": how, "values": list(values), "standard_error": error}


def best(summaries: Sequence[dict[str, dict[str, Any]]]) -> dict[str, int]:
    """Metric -> position of the entry whose mean is best."""
    found = {}
    for name in dict.fromkeys(n for summary in summaries for n in summary):
        sign = 1 if next(s[name]["better"] for s in summaries if name in s) == "lower" else -1
        rows = [(sign * s[name]["mean"], i) for i, s in enumerate(summaries) if name in s]
        found[name] = min(rows)[1]
    return found
