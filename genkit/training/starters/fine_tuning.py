"""A recipe that goes on, with somebody's own images, from weights or from a run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from genkit.core.errors import GenkitError, RecipeError, WeightsError, with_article
from genkit.core.generator import Generator
from genkit.core.location import RECIPE, locate
from genkit.core.pretrained import configuration
from genkit.training.recipe import Recipe
from genkit.training.starters.plans import Shape
from genkit.training.starters.starter import (
    SHARE,
    Starter,
    Timing,
    Wish,
    between_looks,
    data_of,
    enlarged,
    enough_of_each,
    name_of,
    remarks,
    starter,
)
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
    generator = started_from(start, asked.size)
    made = tuple(generator.sample_shape)
    channels, size = made[0], made[-1]
    if found.fixed not in (None, made):
        raise _misfit(start, made)
    classes = _classes(found, generator)
    shape = Shape(size, channels, found.fixed is None and int(found.sides[0]) < size)
    tree = _tree(replace(found, colour=channels == 3), replace(asked, size=size), start)
    tree |= {"name": name_of(asked.file), "data": data_of(found, shape)}
    tree["description"] = f"{found.name}, from {start}."
    tree["start"] = start
    if not classes:
        tree["data"] |= {"labels": False} if found.classes and found.fixed is None else {}
    if classes != generator.conditions.classes:
        tree["system"] = _of_classes(tree["system"], generator.conditions.classes, classes)
    seconds = timing(Recipe.from_dict(tree))
    steps = max(1, int(SHARE * 60 * asked.minutes / seconds))
    often = between_looks(steps)
    tree["train"] = {**tree["train"], "steps": steps, "seed": asked.seed}
    looks = {name: often for name in ("grid", "checkpoint", "evaluate") if tree["every"].get(name)}
    tree["every"] = {**tree["every"], "log": min(50, often), **looks}
    recipe = Recipe.from_dict(tree)
    lost = [*_lost(found, generator, start), *enlarged(found, shape)]
    head = [
        f"{found.name}: {found.count:,} images",
        "Written by genkit new; change what you like. Train it, then sample it:",
        f"  {shlex.join(['genkit', 'train', str(asked.file), '--from', start])}",
        f"  genkit sample runs/{tree['name']} -n 64 --grid --out samples",
        *_lost(found, generator, start),
        *remarks(found, shape, bool(classes)),
    ]
    text = "".join(f"# {line}\n" for line in head) + recipe.to_yaml()
    return Starter(text, recipe, steps, None, lost=lost)


def started_from(start: str, size: int | None = None) -> Any:
    """The generator that a training goes on from, checked before anybody looks at images; raises as `fine_tuned`."""
    generator = Generator.from_pretrained(start)
    made = tuple(generator.sample_shape)
    if len(made) != 3 or size not in (None, made[-1]):
        raise _misfit(start, made)
    if not (Path(start) / RECIPE).is_file():
        _plan_of(start)
    return generator


def _misfit(start: str, made: tuple[int, ...]) -> RecipeError:
    return RecipeError(f"--from {start}: it makes {list(made)}; leave --size out, or give such images")


def _lost(found: Survey, generator: Any, start: str) -> Iterator[str]:
    if found.colour and generator.sample_shape[0] == 1:
        yield f"{start} makes grey images, so the colours of these are left out"
    if enough_of_each(found) and not generator.conditions.classes:
        yield f"{start} knows of no classes, so those of these images are left out"


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
    plan = starter(found, replace(asked, system=_plan_of(start)), lambda recipe: 1e-9)
    tree = plan.recipe.to_dict()
    tree["system"] = {**tree["system"], "generator": {k: v for k, v in config.items() if k != "class_names"}}
    if "critic" in tree["system"]:
        tree["system"]["critic"] = _critic(start) or tree["system"]["critic"]
    return tree


def _plan_of(start: str) -> str:
    config = _configuration(start)
    type = str(config["type"])
    kind = KINDS.get(str(config["network"].get("type")) if type == "gan" else type)
    if kind is None:
        raise WeightsError(f"--from {start}: genkit new knows no training of {with_article(type)}; begin from its run")
    return kind


def _configuration(start: str, product: str = "") -> Mapping[str, Any]:
    found: Mapping[str, Any] = configuration(locate(start, product))
    return found


def _critic(start: str) -> Mapping[str, Any] | None:
    try:
        return _configuration(start, "critic")
    except GenkitError:
        return None
