"""A recipe that goes on, with somebody's own images, from weights or from a run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from genkit.core.errors import GenkitError, RecipeError, WeightsError
from genkit.core.generator import Generator
from genkit.core.location import RECIPE, locate
from genkit.core.pretrained import configuration
from genkit.training.recipe import Recipe
from genkit.training.starters.plans import Shape
from genkit.training.starters.starter import SHARE, Starter, Timing, Wish, data_of, enough_of_each, name_of, starter
from genkit.training.starters.survey import Survey

KINDS = {"ddpm": "ddpm", "vae": "vae", "dcgan_generator": "gan", "stylegan2_generator": "stylegan2"}
"""Type of a generator, or of a GAN's network -> the plan that trains it."""


def fine_tuned(found: Survey, asked: Wish, start: str, timing: Timing) -> Starter:
    """The run's own recipe, or the plan of the weights' kind, with these images and as many iterations as fit.

    Args:
        start: a run folder, or what `Generator.from_pretrained` takes.

    Raises:
        WeightsError: nothing there, or a generator that no plan trains.
        RecipeError: a run of several trainings, or images of another size than it makes.
    """
    generator: Any = Generator.from_pretrained(start)
    channels, size = generator.sample_shape[0], generator.sample_shape[-1]
    made = tuple(generator.sample_shape)
    if len(made) != 3 or asked.size not in (None, size) or found.fixed not in (None, made):
        raise RecipeError(f"--from {start}: it makes {list(made)}; leave --size out, or give such images")
    classes = _classes(found, generator)
    shape = Shape(size, channels, found.fixed is None and int(found.sides[0]) < size)
    tree = _tree(found, replace(asked, size=size), start)
    tree |= {"name": name_of(asked.file), "data": data_of(found, shape)}
    tree["description"] = f"{found.name}, from {start}."
    if not classes:
        tree["data"] |= {"labels": False} if found.classes and found.fixed is None else {}
    if classes != generator.conditions.classes:
        tree["system"] = _of_classes(tree["system"], generator.conditions.classes, classes)
    seconds = timing(Recipe.from_dict(tree))
    steps = max(1, int(SHARE * 60 * asked.minutes / seconds))
    tree["train"] = {**tree["train"], "steps": steps, "seed": asked.seed}
    recipe = Recipe.from_dict(tree)
    head = f"# {found.name}: {found.count:,} images. Written by genkit new; change what you like, and train it:\n"
    head += f"#   {shlex.join(['genkit', 'train', str(asked.file), '--from', start])}\n"
    return Starter(head + recipe.to_yaml(), recipe, steps, None)


def _classes(found: Survey, generator: Any) -> int:
    """Classes that the recipe tells apart: those of the images, where the weights know of any."""
    return len(found.classes) if generator.conditions.classes and enough_of_each(found) else 0


def _of_classes(system: Any, before: int, classes: int) -> Any:
    """A system whose networks know so many classes now; without any they have no use for "no label" either."""
    if not isinstance(system, Mapping):
        return system
    without = () if classes else ("unlabelled", "label_dropout")
    kept = {name: _of_classes(value, before, classes) for name, value in system.items() if name not in without}
    return kept | ({"classes": classes} if kept.get("classes") == before else {})


def _tree(found: Survey, asked: Wish, start: str) -> dict[str, Any]:
    """The recipe of a run, or one of the plan that trains such weights, its networks those of the weights."""
    run = Path(start) / RECIPE
    if run.is_file():
        from genkit.training.staged import load_recipe

        recipe = load_recipe(run)
        if not isinstance(recipe, Recipe):
            first = next(iter(recipe.stages))
            raise RecipeError(f"--from {start}: a run of stages; name one of them, such as {start}/{first}")
        return recipe.to_dict()
    config = _configuration(start)
    kind = KINDS.get(str(config["type"])) or KINDS.get(str(config.get("network", {}).get("type")))
    if kind is None:
        raise WeightsError(f"--from {start}: genkit new knows no training of a {config['type']}; begin from its run")
    plan = starter(found, replace(asked, system=kind), lambda recipe: 1e-9)
    tree = plan.recipe.to_dict()
    tree["system"] = {**tree["system"], "generator": {k: v for k, v in config.items() if k != "class_names"}}
    if "critic" in tree["system"]:
        tree["system"]["critic"] = _critic(start) or tree["system"]["critic"]
    return tree


def _configuration(start: str, product: str = "") -> Mapping[str, Any]:
    found: Mapping[str, Any] = configuration(locate(start, product))
    return found


def _critic(start: str) -> Mapping[str, Any] | None:
    try:
        return _configuration(start, "critic")
    except GenkitError:
        return None
