"""Remarks about a run before it starts, of problems that do not keep it from training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from genkit.core.foresight import promised_shape
from genkit.training.recipe import Recipe


def remarks(recipe: Recipe, data: Any) -> Iterator[str]:
    """The remarks, one line each.

    Args:
        data: the training data, a genkit.data.dataset.DataSet.
    """
    batch = recipe.train.batch_size
    for items in filter(None, (data, getattr(data, "target", None))):
        if batch > len(items) > 1:  # a single one stands for none, of systems that learn from no images
            there = f"{len(items)} samples of {items.name}"
            yield f"train.batch_size: {batch} is more than the {there}, so every batch holds samples more than once"
    if recipe.train.mirror and (kept := ", ".join(data.attributes)):
        yield f"train.mirror: a mirrored image keeps {kept} of the one that it was made of"
    every = recipe.every
    if recipe.rollback and not 0 < every.checkpoint < recipe.train.steps and not (recipe.evaluate and every.evaluate):
        yield "rollback: there is no checkpoint on the way (every.checkpoint), so the run would go back to its start"
    yield from _colours(recipe, data)


def _colours(recipe: Recipe, data: Any) -> Iterator[str]:
    against = promised_shape(recipe.evaluate.against) if recipe.evaluate and recipe.evaluate.against else None
    kinds = {1: "grey", 3: "in colour"}
    if against and len(data.sample_shape) == 3 and against[0] != data.sample_shape[0]:
        yield (
            f"evaluate.against: its images are {kinds.get(against[0])}, those that are learned from are "
            f"{kinds.get(data.sample_shape[0])}, so the scores say little"
        )
