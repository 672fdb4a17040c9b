"""Every shipped recipe loads, builds, fits its data and takes two steps."""

from __future__ import annotations

import json
import re
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.small_recipes import read, shrunk
from genkit.core.pretrained import Pretrained
from genkit.training import batch_statistics, train
from genkit.training.recipe import Recipe
from genkit.training.recipe_file import find_recipe, shipped_recipes
from genkit.training.staged import load_recipe, recipe_of


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


@pytest.mark.parametrize("name", shipped_recipes())
def test_takes_two_steps(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_statistics, "SAMPLES", 2 * batch_statistics.BATCH)
    tree = read(name)
    folder = train(recipe_of(shrunk(tree)), tmp_path / "run")
    for stage in tree.get("stages", {"": tree}).items():
        rows = [json.loads(line) for line in (folder / stage[0] / "metrics.jsonl").read_text().splitlines()]
        assert [row["step"] for row in rows] == [1, 2]
        assert all(rows[1][f"{learner}/gradient_norm"] > 0 for learner in stage[1]["optimizers"])
    Pretrained.from_pretrained(folder)
    assert (folder / "report.html").is_file()


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
