"""A training on torch's meta device, where tensors have shapes and no values: nothing is computed, no memory is taken.

What would hurt on a GPU is an error there: two devices mixed, and a value that Python asks for, since a GPU must first
come to it. A recipe of any size is rehearsed in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genkit.core.condition import Condition
from genkit.core.system import System
from genkit.training.recipe import Recipe
from genkit.training.shape_memory import ShapeMemory
from genkit.training.staged import StagedRecipe, in_turn
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer

META = torch.device("meta")


def rehearsals(
    recipe: Recipe | StagedRecipe, data_of: Callable[[str, Recipe, System], Any]
) -> Iterator[tuple[str, Recipe, Trainer]]:
    """The trainings of a recipe by stage, "" where it has none, each over what those before it would leave.

    Args:
        data_of: (stage, training, its system without weights) -> data; see `rehearsal`.
    """
    made = dict[str, Any]()
    for stage, training in in_turn(recipe, made):
        with ShapeMemory():
            system = without_weights(training)
            trainer = rehearsal(training, system, data_of(stage, training, system))
        made[stage] = dict(trainer.system.products)
        yield stage, training, trainer


def without_weights(recipe: Recipe) -> System:
    """The system of `recipe` on the meta device."""
    with META:
        return recipe.build_system()


def rehearsal(recipe: Recipe, system: System, data: Any) -> Trainer:
    """A trainer of `recipe` on the meta device, at iteration 0.

    Args:
        system: its system without weights, which this makes ready for training.
        data: the training data, or something with their shape, number and conditions; no row is read.
    """
    unread = Unread(data)
    with META:
        system.setup(unread)
    return Trainer(
        system,
        Shapes(unread, recipe.train.batch_size, seed=recipe.train.seed, device=META),
        recipe.build_optimizers(),
        steps=recipe.train.steps,
        accumulate=recipe.train.accumulate,
        ema_decay=recipe.train.ema,
        channels_last=recipe.train.channels_last,
        accelerator=Nowhere(),  # type: ignore[arg-type]
    )


@dataclass(frozen=True)
class Nowhere:
    """One process on the meta device, as far as a trainer asks accelerate about it."""

    device: torch.device = META
    num_processes: int = 1
    process_index: int = 0
    mixed_precision: str = "no"
    scaler: None = None


class Unread:
    """A data set whose rows are looked at by nobody: they are on the meta device."""

    fingerprint = "unread"

    def __init__(self, data: Any):
        self.data = data
        target = getattr(data, "target", None)
        self.target = target and Unread(target)

    def __len__(self) -> int:
        return len(self.data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["data"], name)

    def rows(self, index: Tensor) -> Tensor:
        """(B, *sample_shape)."""
        return torch.empty(len(index), *self.data.sample_shape, device=META)

    stored = rows

    def condition(self, index: Tensor) -> Condition:
        """The rows' conditions; see `DataSet.condition`."""
        return {name: rows.to(META) for name, rows in self.data.condition(index).items()}


class Shapes(Stream):
    """A stream whose noise is not drawn."""

    def normal(self, *shape: int) -> Tensor:
        return torch.empty(self.batch_size, *shape, device=META)

    def uniform(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.empty(self.batch_size, *shape, dtype=dtype, device=META)

    def integers(self, high: int) -> Tensor:
        return torch.empty(self.batch_size, dtype=torch.int64, device=META)
