"""Every shipped recipe at its published size and batch goes through whole iterations and sampling without values.

On the meta device it is an error to mix devices or to ask for a value, which would make a GPU wait.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from genkit.core.generator import Generator
from genkit.posthoc.rejection.rejection import Rejection
from genkit.training import batch_statistics
from genkit.training.recipe_file import shipped_recipes
from genkit.training.rehearsal import META, Unread
from genkit.training.staged import StagedRecipe, load_recipe
from genkit.training.trainer import Trainer
from tests.rules.rehearsals import rehearsals, shorten

DECIDES_BY_VALUES = (Rejection,)
"""Samplers that cannot know what to do next without looking at what they have done."""


def check_sampling(product: Any, items: Unread) -> None:
    if not isinstance(product, Generator):
        return
    shorten(product)
    images = product.over(items).sample(2)
    assert images.is_meta and images.shape == (2, *product.sample_shape)


PLAYED: set[str] = set()
"""Trainings that several recipes begin with, such as the NVAE of a VAEBM: they are played once in a process."""


def play(trainer: Trainer) -> None:
    """A whole iteration, in which every term has its turn, and samples of the averaged copy."""
    shorten(trainer.system)
    trainer.iterate()
    product = trainer.averaged()
    if not isinstance(product, DECIDES_BY_VALUES):
        with trainer.system.for_inference(product):
            check_sampling(product, trainer.stream.source)


@pytest.mark.parametrize("name", shipped_recipes())
def test_no_iteration_and_no_sampling_asks_for_a_value(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_statistics, "SAMPLES", 1)
    recipe, made, items = load_recipe(name), dict[str, Any](), Any
    for stage, training, trainer in rehearsals(name):
        what = json.dumps([training.system, training.train.batch_size, training.data["type"]])
        if "stage" in what or what not in PLAYED:
            play(trainer)
        PLAYED.add(what)
        made[stage], items = dict(trainer.system.products), trainer.stream.source
    if isinstance(recipe, StagedRecipe):
        for stage in recipe.stages.keys() - made.keys():
            made[stage] = recipe.unloaded(stage)
        with META:
            product = recipe.build_product(made)
        check_sampling(product, items)


def test_a_wait_would_be_an_error() -> None:
    x = torch.empty(3, device=META)
    for ask in (Tensor.item, bool, int, Tensor.tolist, Tensor.nonzero, Tensor.cpu):
        with pytest.raises((RuntimeError, NotImplementedError)):
            ask(x.sum())
    with pytest.raises(RuntimeError, match="device"):
        x + torch.ones(3)
