"""Scores of what a run has learned, as its recipe asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genkit.core.catalog import build
from genkit.core.classifying import Classifying
from genkit.core.generator import Generator
from genkit.training.recipe import Evaluate, Recipe
from genkit.training.watcher import Watcher


def scores_of(
    product: Generator | Classifying, wanted: Evaluate, recipe: Recipe, data: Any, watcher: Watcher
) -> dict[str, Any]:
    """What scores.json holds.

    Args:
        data: the training data, the reference where the recipe names no other.
    """
    from genkit.evaluation import accuracy, evaluate

    against = build(wanted.against, kind="data", where="evaluate.against") if wanted.against else data
    if not isinstance(product, Generator):
        return accuracy(product, against, wanted.n, recipe.train.seed, watcher.scoring)
    return evaluate(
        product,
        against,
        metrics=wanted.metrics,
        n=wanted.n,
        extractor=wanted.extractor,
        seed=recipe.train.seed,
        progress=watcher.scoring,
    ).to_json()


def is_better(scores: Mapping[str, Any], metric: str, best: Mapping[str, Any] | None) -> bool:
    """Whether `scores` beat the best so far by `metric`; one that could not be computed beats nothing."""
    if metric not in scores["values"]:
        return False
    if best is None:
        return True
    gain = scores["values"][metric] - best["value"]
    return bool(gain > 0 if scores["better"][metric] == "higher" else gain < 0)
