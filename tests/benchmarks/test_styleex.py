"""The benchmark of StyleEx: its ablation is the shipped one, of any recipe."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.styleex import recipe_of
from genkit.training.staged import load_recipe


def test_the_ablation_is_that_of_the_shipped_recipe() -> None:
    made: Any = recipe_of("shapes/styleex", 1, ablation=True).trainings["styleex"]
    shipped: Any = load_recipe("shapes/styleex_without_classifier", ["stages.styleex.train.seed=1"])
    shipped = shipped.trainings["styleex"]
    assert made.system == shipped.system
    assert (made.train, made.optimizers, made.data) == (shipped.train, shipped.optimizers, shipped.data)


@pytest.mark.parametrize("name", ["mnist/styleex_3_8", "coloured_fashion_mnist/styleex"])
def test_an_ablation_is_built_and_all_else_stays(name: str) -> None:
    recipe = recipe_of(name, 0, ablation=True)
    recipe.check()
    blind, whole = recipe.to_dict()["stages"], recipe_of(name, 0, ablation=False).to_dict()["stages"]
    assert blind["classifier"] == whole["classifier"]
    blind, whole = blind["styleex"], whole["styleex"]
    assert {k: v for k, v in blind.items() if k != "system"} == {k: v for k, v in whole.items() if k != "system"}
    assert blind["system"]["generator"]["encoder"] == whole["system"]["generator"]["encoder"]
    kept = [p for p in whole["system"]["penalties"] if p["type"] != "agreement"]
    assert kept == blind["system"]["penalties"] != whole["system"]["penalties"]
