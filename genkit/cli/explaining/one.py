"""genkit explain of one image: what would change it, and animations of an attribute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.console import heading, table, warn
from genkit.cli.result_file import write_json
from genkit.core.errors import GenkitError

if TYPE_CHECKING:
    from torch import Tensor

    from genkit.explain.explanation import Explanation
    from genkit.explain.single import ImageExplanation

MOST = 4
"""Images of a strip."""
ALONE = 3
"""Attributes that are named by what each does without the others."""


def explain_one(generator: Any, explanation: Explanation, image: Path, given: Mapping[str, Any]) -> None:
    """Tells the changes that make one image one of another class."""
    from genkit.classifiers.fitness import attempt, check_finite
    from genkit.cli.given_images import read_image
    from genkit.explain.single import doubts, explain_image, single_json, single_picture
    from genkit.images.pixels import write_png

    x = read_image(image, generator)[None]
    check_finite(attempt(generator.classifier, x.to(generator.device)), [str(image)])
    found = explain_image(generator, explanation, x, given["to"])
    _tell_class(explanation, given["to"], found.target)
    _show(str(image), found, explanation)
    warn(doubts(found, explanation))
    if "grid" in given:
        write_png(given["grid"], single_picture(found, explanation))
        click.echo(f"original, redrawn, one attribute after the other, and the original so changed in {given['grid']}")
    if "json_path" in given:
        write_json(given["json_path"], {"image": str(image), **single_json(found, explanation)})


def _show(image: str, found: ImageExplanation, explanation: Explanation) -> None:
    from genkit.explain.words import percent

    name = found.classes[found.target]
    number = explanation.numbers(found.target)
    seen = found.classes[int(found.probabilities.argmax())]
    click.echo(heading(f"{image} is {seen} ({percent(float(found.probabilities.max()))})"))
    rows: list[tuple[object, ...]] = [("redrawn", "", percent(float(found.reconstructed[found.target])))]
    rows += [
        (f"and attribute {number.get(c.attributes[-1].s, '?')}", f"{c.effect:+.2f}", percent(c.probability))
        for c in found.subset
    ]
    click.echo(table(rows, ("changed", "effect, logits", f"probability of {name}")))
    if not found.flipped:
        click.echo(f"no attributes together make it {name}")
    else:
        last = found.subset[-1]
        still = found.classes[last.put_decision]
        end = "too" if found.turned else f"not: it stays {still}" if still == seen else f"not, but {still}"
        chance = f"{name} has {percent(last.put_probability)}"
        click.echo(f"redrawn, it becomes {name}; with the same differences the original does {end} ({chance})")
    raising = [c for c in found.independent[:ALONE] if c.effect > 0]
    if raising:
        alone = ", ".join(f"attribute {number.get(c.attributes[0].s, '?')} ({c.effect:+.2f})" for c in raising)
        click.echo(f"alone, those that speak most for {name}: {alone}")


def _tell_class(explanation: Explanation, asked: str, target: int) -> None:
    """Says which class a number stands for, where names may be numbers too."""
    if asked.isdecimal() and (name := explanation.classes[target]) not in (asked, f"class {asked}"):
        click.echo(f"class {asked} is {name}")


def draw_attribute(generator: Any, explanation: Explanation, images: str | None, given: Mapping[str, Any]) -> None:
    """An animation or strip of one attribute."""
    from genkit.explain.single import doubts_of_page
    from genkit.explain.strip import COLUMNS, FRAMES, frames, strengths, write_strip

    target = explanation.target(given["to"])
    _tell_class(explanation, given["to"], target)
    warn(doubts_of_page(explanation))
    attributes, number, out = explanation.attributes[target], given["attribute"], given["out"]
    if number > len(attributes):
        name = explanation.classes[target]
        raise GenkitError(f"--attribute {number}: there are {len(attributes)} of class {name}")
    attribute = attributes[number - 1]
    x = _shown(generator, explanation, target, number - 1, images, given.get("skip_bad", False))
    range_ = explanation.range_for(generator)
    end = (range_.high if attribute.direction else range_.low)[attribute.s]
    count = COLUMNS if out.suffix.lower() == ".png" else FRAMES
    joined = generator.of_images(x.to(generator.device))
    write_strip(out, frames(generator, attribute, joined, end, strengths(count, given.get("strength", 1.0))))
    click.echo(
        f"attribute {number} of {explanation.classes[target]}, from 0 to {given.get('strength', 1.0):g}, in {out}"
    )


def _shown(generator: Any, explanation: Explanation, target: int, i: int, images: str | None, skip_bad: bool) -> Tensor:
    """Images to animate: those given, or the examples of the page."""
    from genkit.cli.given_images import read_image
    from genkit.evaluation.real_data import open_data
    from genkit.images.pixels import from_uint8

    if images is None:
        examples = explanation.examples.get(target, [])
        if i >= len(examples) or not len(examples[i].images):
            raise GenkitError("the explanation has no examples of this attribute; give IMAGES")
        return from_uint8(examples[i].images[:, 0])
    if Path(images).is_file() and Path(images).suffix.lower() != ".zip":
        return read_image(Path(images), generator)[None]
    import torch

    data = open_data(images, tuple(generator.sample_shape), "IMAGES", skip_bad)
    found: Tensor = data.rows(torch.arange(min(MOST, len(data))))
    return found
