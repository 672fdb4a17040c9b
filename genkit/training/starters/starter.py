"""A recipe for somebody's own images, as a text with comments."""

from __future__ import annotations

import math
import re
import shlex
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from genkit.core.documents import parse_yaml
from genkit.training.recipe import Recipe
from genkit.training.starters.plans import A_CLASS, FEW, PLANS, Shape, shape_for
from genkit.training.starters.survey import Survey

SHARE = 0.85
"""Of the minutes, for iterations; the rest is for pictures, checkpoints and scores."""
LOOKS, SCORED, LEAST = 20, 2000, 100
"""Pictures a training, images that are scored, and images below which scores mean nothing."""
SCORE_S = 1.0
"""Of a training, for each image that is scored: scoring it takes a tenth of that on one core."""
COMPONENTS, A_COMPONENT = 200, 20
"""Of the prior of a VAE: at most, and images for each."""
AVERAGED = {"stylegan2": "ema_images: 10000, ema_ramp: 0.05"}

Timing = Callable[[Recipe], float]
"""Seconds an iteration of a recipe takes here."""


@dataclass(frozen=True)
class Wish:
    """A wish for a recipe.

    Attributes:
        system: one of `PLANS`.
        file: that the recipe goes to.
        minutes: for the whole training.
        size: side length in pixels; None chooses.
    """

    system: str
    file: Path
    minutes: int
    size: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Starter:
    """A recipe and the reasons for it.

    Attributes:
        text: YAML with comments.
        recipe: the same, checked.
        steps: of the training.
        enough: the wish that would show what the data are, where these minutes do not; else None.
        start: shipped weights that may be a better start than none; empty where none are known.
        lost: what is not as in the images, such as their size or classes, a line each.
    """

    text: str
    recipe: Recipe
    steps: int
    enough: Wish | None
    start: str = ""
    lost: Sequence[str] = ()


def starter(found: Survey, asked: Wish, timing: Timing) -> Starter:
    """The largest network of the system that is trained long enough in the minutes; the smallest where none is.

    Raises:
        RecipeError, DataError: a size that does not go with the system or the data.
    """
    plan = PLANS[asked.system]
    shape = shape_for(found, plan, asked.size, asked.minutes)
    for rung in plan.rungs:
        values = _values(found, asked, shape, rung)
        seconds = timing(_recipe(_text(asked.system, values, plan.enough)))
        steps = min(plan.most, max(1, int(SHARE * 60 * asked.minutes / seconds)))
        if steps >= plan.enough or rung is plan.rungs[-1]:
            break
    text = _text(asked.system, values | {"minutes": max(1, round(steps * seconds / 60 / SHARE))}, steps)
    longer = replace(asked, minutes=math.ceil(plan.enough * seconds / 60 / SHARE), size=shape.size)
    start = plan.starts.get((shape.channels, shape.size), "") if found.count < FEW else ""
    lost = [*enlarged(found, shape), *(() if values["labelled"] else _unlabelled(found))]
    return Starter(text, _recipe(text), steps, longer if steps < plan.enough else None, start, lost)


def _recipe(text: str) -> Recipe:
    return Recipe.from_dict(parse_yaml(text))


def _text(system: str, values: Mapping[str, Any], steps: int) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    pages = Environment(
        undefined=StrictUndefined,
        loader=FileSystemLoader(Path(__file__).parent),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    often = between_looks(steps)
    return pages.get_template(f"{system}.yaml.j2").render({"minutes": 0, **values, "steps": steps, "often": often})


def _values(found: Survey, asked: Wish, shape: Shape, rung: Mapping[str, Any]) -> dict[str, Any]:
    """All that the templates name, but for the steps."""
    labelled = enough_of_each(found) and asked.system != "vae"
    classes = f", classes: {len(found.classes)}" if labelled else ""
    files = found.fixed is None
    return {
        **shape.__dict__,
        **rung,
        "name": (name := name_of(asked.file)),
        "name_line": _line({"name": name}),
        "file": shlex.quote(str(asked.file)),
        "title": f"{found.name}: {found.count:,} images",
        "description": _line(f"{PLANS[asked.system].name} of {found.name}, {found.count:,} images.", default_style='"'),
        "remarks": list(remarks(found, shape, labelled)),
        "data": _line(data_of(found, shape), default_flow_style=True),
        "count": found.count,
        "few": found.count < FEW,
        "labelled": labelled,
        "classes": classes,
        "classes_line": f"\n      classes: {len(found.classes)}" if labelled else "",
        "unlabelled_line": "\n      unlabelled: true" if labelled else "",
        "widths": _widths(shape.size, rung) if "base" in rung else [],
        "multipliers": [1, 2] if shape.size <= 32 else [1, 2, 2] if shape.size <= 64 else [1, 1, 2, 2],
        "averaged": AVERAGED.get(asked.system, "ema: 0.995"),
        "mirror": files and found.colour,
        "components": max(1, min(COMPONENTS, found.count // A_COMPONENT)),
        "seed": asked.seed,
        "scored": scored(found.count, asked.minutes),
    }


def _line(value: Any, **style: Any) -> str:
    """YAML as a person would type it: letters of any language as they are."""
    return str(yaml.safe_dump(value, allow_unicode=True, width=10**6, sort_keys=False, **style)).strip()


def between_looks(steps: int) -> int:
    """Iterations from one grid and checkpoint to the next."""
    often = max(1, steps // LOOKS)
    return often // 50 * 50 if often >= 100 else often


def scored(count: int, minutes: int) -> int:
    """Images that are scored in a tenth of the minutes; 0 where scores would mean nothing."""
    return min(count, SCORED, max(LEAST, int(60 * minutes / SCORE_S))) if count >= LEAST else 0


def enough_of_each(found: Survey) -> bool:
    """Whether there are classes, and enough images of each for a generator to be told them."""
    return len(found.classes) >= 2 and min(found.classes.values()) >= A_CLASS


def name_of(file: Path) -> str:
    """Of the recipe in a file."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", file.stem.lower()) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "-", plain).strip("-") or "mine"


def data_of(found: Survey, shape: Shape) -> dict[str, Any]:
    """The images as a recipe names them."""
    if found.fixed:
        resized = {} if found.fixed[-1] == shape.size else {"size": shape.size}
        return {**found.spec, **resized}
    spec = {**found.spec, "size": shape.size, "channels": shape.channels}
    spec |= {"enlarge": True} if shape.enlarge else {}
    spec |= {"skip_bad": True} if found.rejected else {}
    return spec | ({} if enough_of_each(found) or not found.classes else {"labels": False})


def remarks(found: Survey, shape: Shape, labelled: bool) -> Iterator[str]:
    if found.fixed is None:
        least, most = int(found.sides[0]), int(found.sides[-1])
        sides = f"{least}" if least == most else f"{least} to {most}"
        yield f"The shorter sides are of {sides} pixels. Each image is cut to its middle square and brought to `size`."
    yield from (f"{line[0].upper()}{line[1:]}." for line in enlarged(found, shape))
    if found.rejected:
        yield f"Files that cannot be used are left out (skip_bad: true): {len(found.rejected):,} now."
    if labelled:
        yield f"{len(found.classes)} classes; samples of one are made by `genkit sample ... --label NAME`."
    else:
        yield from (f"{line}." for line in _unlabelled(found))
    if found.stray:
        yield f"No classes: {found.stray}."
    if found.duplicates:
        yield f"Copies of other images: {found.duplicates:,}."


def enlarged(found: Survey, shape: Shape) -> Iterator[str]:
    if shape.enlarge:
        small = int((found.sides < shape.size).sum())
        yield f"smaller than {shape.size} pixels, and enlarged: {small:,} of {found.count:,}"


def _unlabelled(found: Survey) -> Iterator[str]:
    """A line on classes that are not used."""
    if enough_of_each(found):
        yield f"{len(found.classes)} classes, of which this system is told none: its samples are of all"
    elif found.classes:
        yield f"{len(found.classes)} classes, some of fewer than {A_CLASS} images, which is few: labels are not used"


def _widths(size: int, rung: Mapping[str, Any]) -> list[int]:
    """Channels of the maps of 4, 8, ..., size pixels: `base` at the full size, doubled at each half, up to `most`."""
    sides = [side for side in (4, 8, 16, 32, 64, 128, 256) if side <= size]
    return [min(rung["most"], rung["base"] * size // side) for side in sides]
