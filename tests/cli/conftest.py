"""A recipe that trains in a second, and a run of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from genkit.training import train
from tests.rules.recipes import read, shrunk


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits, labelled, narrow networks, four steps."""
    tree = shrunk(read("digits/wgan_ratio_clipping"))
    tree["system"]["generator"]["network"]["classes"] = 10
    tree["train"]["steps"] = 4
    tree["every"] = {"log": 2, "grid": 2, "checkpoint": 2}
    path = tmp_path_factory.mktemp("recipes") / "tiny.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def finished(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of `recipe`."""
    return train(recipe, tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="session")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a generator of points."""
    from genkit.training.recipe import Recipe

    tree = shrunk(read("points/wgan_gp"))
    return train(Recipe.from_dict(tree), tmp_path_factory.mktemp("runs") / "points")
