"""Products of unfinished runs: the averaged weights of the newest good checkpoint, while `weights/` is empty.

A system may need its training data to show its product, as exemplars do; then the recipe's data are opened again.
"""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load
from torch import nn

from genkit.core.documents import Unreadable, parse_json, read_json, read_mapping, read_yaml
from genkit.core.errors import UnfinishedRun, WeightsError
from genkit.core.location import RECIPE, Unfinished, locate, sha256_of_weights
from genkit.core.pretrained import built
from genkit.core.reference import contained
from genkit.core.system import System
from genkit.core.tensors import load_into
from genkit.training.checkpoint import MANIFEST, complete, step_of
from genkit.training.data_record import changes_since, data_record
from genkit.training.recipe import Recipe
from genkit.training.recipe_file import STAGES
from genkit.training.staged import StagedRecipe, load_recipe

AVERAGED, STATE = "ema.safetensors", "state.json"
"""Files of a checkpoint."""

DATA = "data.json"
"""File of a run with the record of its data."""


@dataclass(frozen=True)
class Averaged:
    """The averaged weights in a checkpoint.

    Attributes:
        run, checkpoint: folders.
        content: of the safetensors file, checked by its hash.
        config: of the module; None where only the recipe says it.
        data: fingerprint of the data that it learned from; None where it was not kept.
    """

    run: Path
    checkpoint: Path
    content: bytes
    config: dict[str, Any] | None
    data: str | None = None

    @property
    def step(self) -> int:
        return step_of(self.checkpoint)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def says(self) -> str:
        return f"{self.run} has not finished: these are its averaged weights of iteration {self.step:,}"

    def bare(self) -> nn.Module:
        """The averaged module alone.

        Raises:
            WeightsError: the checkpoint does not fit the recipe beside it.
            RecipeError: the recipe cannot be used.
        """
        return self._loaded(self._recipe().build_system())

    def product(self) -> nn.Module:
        """The product as if training ended here; warns that it has not ended.

        Raises:
            WeightsError, RecipeError: as `bare`.
            DataError: the data that the product needs cannot be used.
        """
        warnings.warn(self.says, UnfinishedRun, stacklevel=3)
        recipe = self._recipe()
        system: System = recipe.build_system()
        product: Any = self._loaded(system)
        if type(system).for_inference is System.for_inference:
            return product  # type: ignore[no-any-return]
        data = recipe.build_data()
        self._check_data(data)
        system.setup(data)
        with system.for_inference(product):
            return copy.deepcopy(product)  # type: ignore[no-any-return]

    def _check_data(self, data: Any) -> None:
        if changes := changes_since(self.data, read_mapping(self.run / DATA), data_record(data)):
            raise WeightsError(
                f"the data have changed since {self.checkpoint} was written ({changes}), and without them its samples "
                "would be others; put them back, or finish the run first"
            )

    def _recipe(self) -> Recipe:
        return Recipe.load(self.run / RECIPE)

    def _loaded(self, system: System) -> nn.Module:
        product: Any = built(self.config, str(self.checkpoint)) if self.config else system.product
        try:
            load_into(product, load(self.content))
        except ValueError as misfit:
            reason = str(misfit).splitlines()[0]
            raise WeightsError(f"{self.checkpoint} does not fit {self.run / RECIPE}: {reason}") from misfit
        return product  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Together:
    """The product of several stages, before the run has finished."""

    checkpoint: Path
    recipe: StagedRecipe

    @property
    def config(self) -> dict[str, Any]:
        assert self.recipe.product is not None
        return self.recipe.product

    @property
    def sha256(self) -> str:
        return hashlib.sha256(
            "".join(f"{sha256_of_weights(self.checkpoint / s)}" for s in self.recipe.trainings).encode()
        ).hexdigest()

    def product(self) -> nn.Module:
        """Built of all stages in their present state; warns of those that have not finished."""
        return self.recipe.product_of(self.checkpoint)  # type: ignore[return-value]


def left_by(run: Path) -> Path | Unfinished | None:
    """The product of a run folder without weights yet; with stages, that of the last one or of all together."""
    tree: Any = {}
    with suppress(Unreadable):
        tree = read_yaml(run / RECIPE)
    if not isinstance(tree, Mapping) or STAGES not in tree:
        return newest_averaged(run)
    recipe = load_recipe(run / RECIPE)
    assert isinstance(recipe, StagedRecipe)
    if recipe.product is not None:
        return Together(run, recipe)
    stage = next(reversed(recipe.stages.items()))
    return locate(run / stage[0] if isinstance(stage[1], Recipe) else stage[1]["weights"])


def newest_averaged(run: Path) -> Averaged | None:
    """None where there is no run, or no checkpoint whose averaged weights are whole; damaged ones are passed over."""
    if not (run / RECIPE).is_file():
        return None
    for checkpoint in reversed(complete(run / "checkpoints")):
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # damaged, or removed while it is read
            content, state = _whole(checkpoint, AVERAGED), parse_json(_whole(checkpoint, STATE).decode())
            config = contained(state.get("product"), checkpoint)
            return Averaged(run, checkpoint, content, config, state.get("data"))
    return None


def _whole(checkpoint: Path, name: str) -> bytes:
    """The content of a file; raises ValueError unless it has the recorded hash."""
    content = (checkpoint / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != read_json(checkpoint / MANIFEST)[name]["sha256"]:
        raise ValueError(name)
    return content
