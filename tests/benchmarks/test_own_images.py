"""Trainings of somebody's own images: what is measured is what `genkit new` writes, but for what the command names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.own_images import LOOKS, recipe_of
from genkit.images.pixels import write_folder
from genkit.training.starters.survey import survey


@pytest.mark.parametrize(("system", "start"), [("gan", None), ("gan", "small-photos-gan"), ("ddpm", None)])
def test_the_recipe_is_the_planned_one(system: str, start: str | None, tmp_path: Path) -> None:
    write_folder([torch.rand(60, 3, 32, 32) * 2 - 1], tmp_path / "noise")
    tree = recipe_of(survey(tmp_path / "noise"), system, start, 3, 400, 0.5, 24).to_dict()
    assert tree["train"]["steps"] == 400 and tree["train"]["seed"] == 3 and tree["evaluate"]["n"] == 60
    assert tree["every"]["evaluate"] == 400 // LOOKS and tree["system"]["type"] == f"{system}_training"
    if system == "gan":
        widths = {tree["system"]["critic"]["width"], tree["system"]["generator"]["network"]["width"]}
        assert tree["system"]["penalties"][0]["weight"] == 0.5 and widths == ({64} if start else {24})
