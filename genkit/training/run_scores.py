"""Scores of what a run has learned, as its recipe asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genkit.core.catalog import build
from genkit.training.recipe import Evaluate
from genkit.training.watcher import Watcher


def scores_of(product: Any, wanted: Evaluate, seed: int, data: Any, watcher: Watcher) -> dict[str, Any]:
    """What scores.json holds.

    Args:
        data: the training data, the reference where the recipe names no other.
    """
    from genkit.evaluation.judges import judge_of

    against = build(wanted.against, kind="data", where="evaluate.against") if wanted.against else data
    return judge_of(product).scores(product, against, wanted, seed, watcher.scoring)


def is_better(scores: Mapping[str, Any], metric: str, best: Mapping[str, Any] | None) -> bool:
    """Whether `scores` beat the best so far by `metric`; one that could not be computed beats nothing."""
    if metric not in scores["values"]:
        return False
    if best is None:
        return True
    gain = scores["values"][metric] - best["value"]
    return bool(gain > 0 if scores["better"][metric] == "higher" else gain < 0)
