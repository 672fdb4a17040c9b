"""Every shipped recipe loads, builds and says what it is; that it trains is a contract, tests/contracts."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Any

import pytest
import torch

from genkit.training.recipe import Recipe
from genkit.training.recipe_file import find_recipe, shipped_recipes
from genkit.training.staged import load_recipe


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")  # a recipe may name shipped weights
@pytest.mark.parametrize("name", shipped_recipes())
def test_loads_and_says_what_it_is(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.description, "genkit list shows the description"
    made: dict[str, Any] = {}
    trainings = {"": recipe} if isinstance(recipe, Recipe) else recipe.trainings
    with torch.device("meta"):  # the largest have half a billion weights
        for stage, training in trainings.items():
            system = training.at(training.place.after(made)).build_system() if stage else training.build_system()
            assert set(training.optimizers) == set(system.all_learners())
            made[stage] = dict(system.products)


def test_there_are_recipes() -> None:
    assert "digits/wgan_ratio_clipping" in shipped_recipes()


PAPERS = ("afhq", "celeba", "cifar10", "ffhq", "imagenet", "lsun", "metfaces", "visda")
"""Beginnings of the names of recipes at the scale of a paper, which take a GPU."""


@pytest.mark.parametrize("name", [name for name in shipped_recipes() if name.startswith(PAPERS)])
def test_the_header_of_a_papers_recipe_names_its_figure_and_its_hours(name: str) -> None:
    text = find_recipe(name).read_text(encoding="utf-8")
    header = list(takewhile(lambda line: line.startswith("#"), text.splitlines()))
    assert [line for line in header if re.match(r"# Published: \S", line)], "the published figure, or that none is"
    assert [line for line in header if re.match(r"# Takes about [\d.,]+ hours of an \w+", line)], "expected hours"
