"""Recipes for somebody's own images: what is found, what is chosen, and that each of them trains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from genkit.core.errors import DataError, RecipeError
from genkit.images.pixels import write_folder
from genkit.training import train
from genkit.training.starters import survey as module
from genkit.training.starters.plans import PLANS
from genkit.training.starters.starter import Wish, name_of, scored, starter
from genkit.training.starters.survey import survey

DIGITS = {"type": "digits", "split": "test"}


def photos(folder: Path, n: int = 60, side: int = 40, channels: int = 3, classes: int = 1) -> Path:
    rng = torch.Generator().manual_seed(0)
    for k in range(classes):
        x = torch.randint(0, 256, (n, channels, side, side), dtype=torch.uint8, generator=rng)
        write_folder([x], folder / f"kind{k}" if classes > 1 else folder)
    return folder


def test_files_are_looked_at(tmp_path: Path) -> None:
    folder = photos(tmp_path / "mine", classes=2)
    write_folder([torch.zeros(1, 1, 20, 50, dtype=torch.uint8)], folder / "kind0", start=60)
    (folder / "kind0/again.png").write_bytes((folder / "kind0/000000.png").read_bytes())
    (folder / "kind1/broken.png").write_bytes(b"no image")
    seen = list[tuple[int, int]]()
    found = survey(folder, lambda done, total: seen.append((done, total)))
    assert (found.name, found.count, found.colour, found.duplicates) == ("mine", 122, True, 1)
    assert found.classes == {"kind0": 62, "kind1": 60}
    assert found.sides.tolist() == [20, *[40] * 121]
    ((name, reason),) = found.rejected
    assert name == "kind1/broken.png" and reason.startswith("not an image")
    assert found.sheet.shape == (module.SHEET, 3, module.THUMB, module.THUMB) and seen[-1][0] == 122


def test_a_data_set_comes_as_it_is() -> None:
    found = survey(DIGITS)
    assert found.fixed == (1, 28, 28) and not found.colour and len(found.classes) == 10 and found.count == 1000
    with pytest.raises(DataError, match="holds points"):
        survey({"type": "gaussians8"})


def test_grey_files_make_grey_images(tmp_path: Path) -> None:
    found = survey(photos(tmp_path, channels=1))
    made = starter(found, Wish("gan", Path("grey.yaml"), 30), lambda recipe: 0.1)
    assert not found.colour and made.recipe.data["channels"] == 1 and not made.recipe.train.mirror


@pytest.mark.parametrize("system", PLANS)
@pytest.mark.parametrize("classes", [1, 2])
def test_every_recipe_trains(system: str, classes: int, tmp_path: Path) -> None:
    found = survey(photos(tmp_path / "mine", 60, classes=classes))
    # as if the largest networks were slow: the smallest is taken
    made = starter(found, Wish(system, tmp_path / "mine.yaml", 1, 32), lambda recipe: 20.0)
    assert made.recipe.train.steps == 2 and "# mine:" in made.text
    assert made.recipe.every.log <= made.recipe.every.grid
    changed = {**made.recipe.to_dict(), "evaluate": None, "every": {"grid": 0, "checkpoint": 0}}
    changed["train"] |= {"batch_size": 8}
    run = train(type(made.recipe).from_dict(changed), tmp_path / "run")
    assert (run / "weights/model.safetensors").is_file()


def test_a_system_without_classes_says_so_and_not_that_they_are_few(tmp_path: Path) -> None:
    found = survey(photos(tmp_path / "mine", 120, classes=2))
    text = starter(found, Wish("vae", tmp_path / "mine.yaml", 1, 32), lambda recipe: 20.0).text
    assert "2 classes, of which this system is told none" in text and "which is few: labels" not in text


def test_a_vae_has_a_prior_of_its_images(tmp_path: Path) -> None:
    colour = starter(survey(photos(tmp_path)), Wish("vae", Path("a.yaml"), 1), lambda recipe: 20.0).recipe.system
    grey = starter(survey(DIGITS), Wish("vae", Path("a.yaml"), 1), lambda recipe: 20.0).recipe.system
    assert (colour["generator"]["likelihood"]["type"], colour["generator"]["network"]["scaled"]) == ("gaussian", True)
    assert grey["generator"]["likelihood"]["type"] == "bernoulli" and "scaled" not in grey["generator"]["network"]
    assert [of["generator"]["prior"]["components"] for of in (colour, grey)] == [60 // 20, 1000 // 20]


def test_the_largest_network_that_has_the_time_is_taken(tmp_path: Path) -> None:
    found, asked = survey(photos(tmp_path)), Wish("gan", Path("mine.yaml"), 30)

    def width(recipe: Any) -> int:
        return int(recipe.system["generator"]["network"]["width"])

    by_width = {64: 1.0, 48: 0.5, 32: 0.2, 24: 0.1}
    made = starter(found, asked, lambda recipe: by_width[width(recipe)])
    assert width(made.recipe) == 32 and made.steps == 0.85 * 30 * 60 / 0.2 and not made.enough
    assert width(starter(found, asked, lambda recipe: 1e-6).recipe) == 64
    assert starter(found, asked, lambda recipe: 1e-6).steps == PLANS["gan"].most
    slow = starter(found, asked, lambda recipe: 100.0)
    assert width(slow.recipe) == 24 and slow.enough and slow.steps == 15
    patient = starter(found, slow.enough, lambda recipe: 100.0)
    assert patient.steps >= PLANS["gan"].enough and not patient.enough, "what is advised is enough"


def test_few_images_are_augmented_and_many_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = survey(photos(tmp_path))
    for system, view in (("gan", "diff_augment"), ("stylegan2", "adaptive_augment")):
        made = starter(found, Wish(system, Path("x.yaml"), 30), lambda recipe: 0.1)
        assert ("recoloured" in made.text) == ("color" in made.recipe.system["view"].get("policy", []))
        assert made.recipe.system["view"]["type"] == view and "60 images are few" in made.text
    monkeypatch.setattr("genkit.training.starters.starter.FEW", 10)
    assert "view" not in starter(found, Wish("gan", Path("x.yaml"), 30), lambda recipe: 0.1).recipe.system


@pytest.mark.parametrize(
    ("file", "name"), [("Übung mit Räumen", "ubung-mit-raumen"), ("照片 1", "照片-1"), ("_", "mine"), ("A.b", "a-b")]
)
def test_names_keep_their_letters(file: str, name: str) -> None:
    assert name_of(Path(f"{file}.yaml")) == name


@pytest.mark.parametrize(("few", "colour", "weight"), [(1, 1, 0.1), (1, 0, 0.1), (0, 1, 0.1), (0, 0, 1)])
def test_the_penalty_is_the_one_that_was_best_in_measurements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int, colour: int, weight: float
) -> None:
    monkeypatch.setattr("genkit.training.starters.starter.FEW", 1000 if few else 10)
    found = replace(survey(photos(tmp_path)), colour=bool(colour))
    made = starter(found, Wish("gan", Path("x.yaml"), 30), lambda recipe: 0.1)
    assert made.recipe.system["penalties"] == [{"type": "r1", "weight": weight, "every": 4}]


@pytest.mark.parametrize(
    ("side", "minutes", "size", "enlarge"),
    [
        (12, 30, 32, True),
        (20, 30, 20, False),
        (28, 30, 28, False),
        (30, 30, 32, True),
        (100, 30, 32, False),
        (100, 600, 64, False),
    ],
)
def test_the_size_goes_with_the_images_and_the_time(
    tmp_path: Path, side: int, minutes: int, size: int, enlarge: bool
) -> None:
    made = starter(survey(photos(tmp_path, side=side)), Wish("gan", Path("x.yaml"), minutes), lambda recipe: 0.1)
    assert made.recipe.data["size"] == size and made.recipe.data.get("enlarge", False) is enlarge
    assert len(made.recipe.build_data()) == 60


def test_scores_cost_no_more_than_the_minutes_have(tmp_path: Path) -> None:
    assert [scored(5000, minutes) for minutes in (1, 2, 10, 60)] == [100, 120, 600, 2000]
    assert (scored(150, 60), scored(99, 60)) == (150, 0)


def test_images_of_one_small_size_keep_it_where_the_system_can(tmp_path: Path) -> None:
    found = survey(photos(tmp_path / "mine", side=28))
    for system in PLANS:
        made = starter(found, Wish(system, tmp_path / "x.yaml", 1), lambda recipe: 20.0)
        assert made.recipe.data["size"] == (32 if system == "stylegan2" else 28), system
        changed = {**made.recipe.to_dict(), "evaluate": None, "every": {"grid": 0, "checkpoint": 0}}
        changed["train"] |= {"batch_size": 8, "steps": 1}
        run = train(type(made.recipe).from_dict(changed), tmp_path / system)
        assert (run / "weights/model.safetensors").is_file()


@pytest.mark.parametrize("system", PLANS)
def test_every_size_that_is_offered_can_be_built(system: str) -> None:
    found = survey(DIGITS)
    for side in PLANS[system].sides or (*range(8, 72), *range(72, 257, 23)):
        made = starter(found, Wish(system, Path("x.yaml"), 1, side), lambda recipe: 20.0)
        with torch.device("meta"):
            assert made.recipe.build_system(), side


def test_sizes_that_cannot_be() -> None:
    with pytest.raises(RecipeError, match=r"makes images of 16, 20, 24, 28, 32, 40, 48, 56, 64, ... 256 pixels"):
        starter(survey(DIGITS), Wish("ddpm", Path("x.yaml"), 30, 12), lambda recipe: 0.1)
    found = survey(DIGITS)
    with pytest.raises(RecipeError, match="--size 30: this system makes images of 32, 64, 128, 256 pixels"):
        starter(found, Wish("stylegan2", Path("x.yaml"), 30, 30), lambda recipe: 0.1)
    made = starter(found, Wish("stylegan2", Path("x.yaml"), 30), lambda recipe: 0.1)
    assert made.recipe.data == {**DIGITS, "size": 32}
    shapes = survey({"type": "shapes", "n": 20, "size": 32})
    made = starter(shapes, Wish("gan", Path("x.yaml"), 30, 64), lambda recipe: 0.1)
    assert made.recipe.data == {"type": "shapes", "n": 20, "size": 64}
    some = survey({"type": "part", "data": DIGITS, "stop": 60})
    with pytest.raises(DataError, match="comes in 28 pixels; leave --size out"):
        starter(some, Wish("gan", Path("x.yaml"), 30, 64), lambda recipe: 0.1)
