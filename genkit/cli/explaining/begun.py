"""Files of a run of genkit explain train, read back: its recipe, its classifier, and what is of neither."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genkit.core.errors import RecipeError, WeightsError
from genkit.core.files import held_in
from genkit.core.location import RECIPE

CLASSIFIER = "classifier"
"""Folder of a run with the classifier, or what is known of it where it is code of the user's."""
EXPLAINED = "explained.json"
"""File beside the classifier: a record of the images that are kept for the page of the run, empty where none are."""
BEFORE = (CLASSIFIER, "data.json", "environment.json", "start.json")
"""Written by a run before its recipe."""


def recipe_in(out: Path) -> dict[str, Any]:
    """The tree of a recipe that `genkit explain train` wrote."""
    from genkit.core.documents import Unreadable, read_yaml
    from genkit.training.recipe import Recipe
    from genkit.training.recipe_file import as_written_today

    try:
        tree = read_yaml(out / RECIPE)
        by_explain = "stages" not in tree and tree["system"]["type"] == "styleex_training"
        by_explain = by_explain and "stage" not in tree["system"]["generator"]["classifier"]
        if by_explain:
            Recipe.from_dict(as_written_today(tree))
            _check_read(tree["system"]["generator"], tree["data"])
    except (Unreadable, RecipeError, LookupError, TypeError, ValueError, AttributeError) as damage:
        raise RecipeError(f"{out / RECIPE} cannot be read, so the run cannot go on; choose another --out") from damage
    if not by_explain:
        raise RecipeError(f"{out} is a run of genkit train, with which this cannot go on; choose another --out")
    return dict(tree)


def kept_back(out: Path, data: Mapping[str, Any]) -> bool:
    """Whether `data`, which the run in `out` learns from, is a part of DATA whose rest was kept for the page."""
    made = data.get("type") == "random_part" and {"low", "seed"} <= data.keys() and data.get("high") == 1.0
    record = out / CLASSIFIER / EXPLAINED
    return made and not (record.is_file() and record.read_bytes().strip() == b"{}")


def _check_read(generator: Any, data: Any) -> None:
    """Raises LookupError, TypeError or ValueError where what is read of a recipe is not there."""
    float(generator.get("temperature", 1))
    Path(generator["classifier"]["weights"])
    if data["type"] == "random_part":
        float({"low": 0, **data}["low"])
        dict(data["data"])


def classifier_in(folder: Path, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration in `folder`; none in a run of an earlier version, whose classifier lies elsewhere."""
    from genkit.core.pretrained import configuration

    named = recipe["system"]["generator"]["classifier"]["weights"]
    if not folder.is_dir() and Path(named).name != CLASSIFIER:
        return {}
    gone = RecipeError(
        f"{folder}, the classifier of the run, is missing or damaged; put it back, or choose another --out"
    )
    try:
        found = configuration(folder)
    except WeightsError as damage:
        raise gone from damage
    if not isinstance(found, Mapping):
        raise gone
    return dict(found)


def others_in(out: Path) -> str:
    """The first thing in the folder of a new run that is no file written before its recipe; "" without one."""
    return next((name for name in held_in(out) if name not in BEFORE), "")
