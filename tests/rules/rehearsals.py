"""Shipped recipes as they stand, at their published size and batch, on the meta device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from genkit.core.catalog import build
from genkit.core.columns.labels import Labels
from genkit.core.randomness import Noise
from genkit.training.recipe import Recipe
from genkit.training.rehearsal import rehearsal, without_weights
from genkit.training.staged import StagedRecipe, load_recipe
from genkit.training.trainer import Trainer

ITEMS = 60_000
CLASSES = 10


class Like:
    """What a training of `product` asks of its data beside their rows: no file is read, and no row looked at."""

    name = "none"

    def __init__(self, product: Any, target: Like | None = None):
        self.target = target
        self.sample_shape = tuple(product.sample_shape)
        known = {**getattr(product, "attributes", {}), **(getattr(product, "conditions", None) or {})}
        self.columns = {"label": Labels(CLASSES), **{k: c for k, c in known.items() if c.drawable}}

    def __len__(self) -> int:
        return ITEMS

    def condition(self, index: Tensor) -> dict[str, Tensor]:
        return {name: column.draw(Noise(len(index))) for name, column in self.columns.items()}


def rehearsals(name: str) -> Iterator[tuple[str, Recipe, Trainer]]:
    """The trainings of a recipe by stage, "" where it has none, each of the untrained products of those before."""
    recipe, made = load_recipe(name), dict[str, Any]()
    stages = recipe.stages if isinstance(recipe, StagedRecipe) else {"": recipe}
    for stage, training in stages.items():
        if not isinstance(training, Recipe):
            assert isinstance(recipe, StagedRecipe)
            made[stage] = recipe.unloaded(stage)
            continue
        training = training.at(training.place.after(made))
        system = without_weights(training)
        data = Like(system.product)
        if training.data["type"] == "domains":
            data = Like(system.product, target=data)
        trainer = rehearsal(training, system, data)
        draw_few(trainer.system)
        yield stage, training, trainer
        made[stage] = dict(trainer.system.products)


def shorten(module: Any) -> None:
    """Loops that do the same in every turn take few: solvers of diffusion two steps, Langevin chains one."""
    for part in module.modules():
        if hasattr(part, "solver"):
            part.solver = build({"type": "ancestral", "steps": "2"})
        if hasattr(part, "langevin"):
            part.langevin.steps = 1


def draw_few(module: Any) -> None:
    """What is drawn once, before the first iteration, is little: it is no part of an iteration."""
    for part in module.modules():
        for name in ("pairs", "pool"):
            if isinstance(getattr(part, name, None), int):
                setattr(part, name, 2)
