"""Scores of what a run has learned, as its recipe asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genkit.core.catalog import build
from genkit.core.pretrained import Pretrained
from genkit.training.recipe import Evaluate
from genkit.training.watcher import Watcher


class Scoring:
    """How a run is scored: its reference and what compares with it are opened once, before training.

    Args:
        wanted: as the recipe asks for it.
        product: what is trained.
        data: the training data, the reference where the recipe names no other.

    Raises:
        RecipeError: data that cannot score `product`, hours before they would be needed.
    """

    def __init__(self, wanted: Evaluate, product: Pretrained, data: Any):
        from genkit.evaluation.judges import judge_of

        self.wanted, self.judge = wanted, judge_of(product)
        self.against = build(wanted.against, kind="data", where="evaluate.against") if wanted.against else data
        self.judge.check_reference(wanted, product, self.against)

    def scores(self, product: Any, seed: int, watcher: Watcher) -> dict[str, Any]:
        """The content of scores.json, of what has been learned so far."""
        return self.judge.scores(product, self.against, self.wanted, seed, watcher.scoring)


def is_better(scores: Mapping[str, Any], metric: str, best: Mapping[str, Any] | None) -> bool:
    """Whether `scores` beat the best so far by `metric`; one that could not be computed beats nothing."""
    if metric not in scores["values"]:
        return False
    if best is None:
        return True
    gain = scores["values"][metric] - best["value"]
    return bool(gain > 0 if scores["better"][metric] == "higher" else gain < 0)
