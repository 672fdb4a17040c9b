"""Shipped recipes at their published size and batch go through whole iterations and sampling without values.

On the meta device it is an error to mix devices or to ask for a value, which would make a GPU wait.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.arithmetic import line, line_of, rehearsed
from genkit.core.generator import Generator
from genkit.posthoc.rejection.rejection import Rejection
from genkit.training import batch_statistics
from genkit.training.cost import Cost, NotedStep, alike, cost_of
from genkit.training.recipe import Recipe
from genkit.training.recipe_file import shipped_recipes
from genkit.training.rehearsal import META, Unread
from genkit.training.shape_memory import ShapeMemory
from genkit.training.staged import StagedRecipe, load_recipe
from genkit.training.trainer import Trainer
from tests.contracts.short_loops import shorten

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
    with ShapeMemory():
        if trainer.step == 0:
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
    stated, costs = line_of(name), list[tuple[Cost, Recipe]]()
    for stage, training, trainer in rehearsed(name):
        what = json.dumps([training.system, training.train.batch_size, training.data["type"]])
        if stated:
            costs.append((cost_of(trainer), training))
        if "stage" in what or what not in PLAYED:
            play(trainer)
        PLAYED.add(what)
        made[stage], items = dict(trainer.system.products), trainer.stream.source
    assert stated == (line(costs) if stated else "")
    if isinstance(recipe, StagedRecipe):
        for stage in recipe.stages.keys() - made.keys():
            made[stage] = recipe.unloaded(stage)
        with META:
            product = recipe.build_product(made)
        check_sampling(product, items)


def test_the_published_arithmetic_of_adm() -> None:
    """1,348 TFLOP an iteration at 64 pixels, batch 2,048."""
    [(_, _, trainer)] = rehearsed("imagenet64/ddpm")
    assert cost_of(trainer).flop == pytest.approx(1.348e15, rel=1e-3)


def test_lazy_terms_count_as_often_as_they_come() -> None:
    seen: set[tuple[int, int, int]] = set()
    step = NotedStep(0, seen)
    assert (step % 4, (2 * step + 1) % 6) == (0, 1) and seen == {(1, 0, 4), (2, 1, 6)}
    assert alike({(1, 0, 4), (1, 0, 16)}) == {0: 1 / 16, 1: 12 / 16, 4: 3 / 16}


def test_a_wait_would_be_an_error() -> None:
    x = torch.empty(3, device=META)
    for ask in (Tensor.item, bool, int, Tensor.tolist, Tensor.nonzero, Tensor.cpu):
        with pytest.raises((RuntimeError, NotImplementedError)):
            ask(x.sum())
    with pytest.raises(RuntimeError, match="device"):
        x + torch.ones(3)
