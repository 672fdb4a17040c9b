"""An explanation as one HTML file that a person reads: nothing outside it is needed, no script is in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genkit import __version__
from genkit.core.files import write_text_atomically
from genkit.explain.charts import curves, histogram, track
from genkit.explain.difference import difference, url
from genkit.explain.explanation import Attribute, ExampleImages, Explanation
from genkit.explain.words import effect, enough, moved, percent, reading, sorts

SHOWN = 5
"""Attributes of a class that are shown with pictures; all are in the curve and in explanation.json."""

Told = dict[str, Any]
"""Values of the page's template."""


@dataclass(frozen=True)
class About:
    """Words about the classifier that is explained.

    Attributes:
        classifier: its name.
        facts: (what, value) rows about classifier, generator and search, for those who want to repeat it.
        note: a remark at the top, such as where the images may be shown.
        categories: properties that are one of several classes, such as a shape.
    """

    classifier: str
    facts: tuple[tuple[str, str], ...] = ()
    note: str = ""
    categories: frozenset[str] = frozenset()


def write_page(path: Path, explanation: Explanation, about: About) -> None:
    """Raises CheckpointError where it cannot be written."""
    write_text_atomically(path, page(explanation, about))


def page(explanation: Explanation, about: About) -> str:
    """The HTML; everything that came from elsewhere is escaped, every picture is inside."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    pages = Environment(autoescape=True, undefined=StrictUndefined, loader=FileSystemLoader(Path(__file__).parent))
    checks = reading(explanation.checks)
    doubts = explanation.checks.reasons or [f"{what} No: {said}" for what, said, well in checks if not well]
    return pages.get_template("explanation.html.j2").render(
        about=about,
        classes=sorts(explanation.classes),
        targets=[_target(explanation, target, about) for target in sorted(explanation.attributes)],
        checks=checks,
        doubts=list(dict.fromkeys(doubt[:1].upper() + doubt[1:] for doubt in doubts)),
        n=searched(explanation),
        measured=any(a.moves for found in explanation.attributes.values() for a in found),
        only_probabilities=percent(explanation.only_probabilities),
        facts=[*about.facts, *_facts(explanation)],
        version=__version__,
    )


def _target(explanation: Explanation, target: int, about: About) -> Told:
    name = explanation.classes[target]
    found, examples = explanation.attributes[target][:SHOWN], explanation.examples.get(target, [])
    shares, random = explanation.sufficiency.get(target, []), explanation.random.get(target, [])
    return {
        "number": target,
        "name": name,
        "outside": _outside(explanation, target),
        "enough": enough(shares, random, name, explanation.on_originals.get(target)),
        "curves": curves(shares, random, explanation.only_probabilities) if len(shares) > 1 else "",
        "attributes": [
            _attribute(i, attribute, name, about, examples[i] if i < len(examples) else None)
            for i, attribute in enumerate(found)
        ],
        "more": len(explanation.attributes[target]) - len(found),
    }


def _attribute(i: int, attribute: Attribute, name: str, about: About, examples: ExampleImages | None) -> Told:
    return {
        "number": i + 1,
        "moves": moved(attribute.moves, about.categories, attribute.drifts),
        "effect": effect(attribute, name),
        "histogram": histogram(attribute.effects),
        "place": f"{attribute.layer}, channel {attribute.channel}, towards its "
        f"{'largest' if attribute.direction else 'smallest'} value",
        "rows": _rows(examples) if examples else [],
    }


def _rows(examples: ExampleImages) -> list[Told]:
    columns = zip(examples.images, examples.before.tolist(), examples.after.tolist(), strict=True)
    return [
        {
            "pictures": [
                ("original", url(original)),
                ("redrawn", url(redrawn)),
                ("changed", url(changed)),
                ("difference", url(difference(redrawn, changed))),
            ],
            "side": original.shape[-1],
            "before": percent(before),
            "after": percent(after),
            "track": track(before, after),
        }
        for (original, redrawn, changed), before, after in columns
    ]


def searched(explanation: Explanation) -> int:
    """The number of images in which changes were tried; the others only show what was found."""
    return int(explanation.data.get("searched", explanation.data.get("n", 0)))


def _outside(explanation: Explanation, target: int) -> str:
    count = explanation.data.get("outside", {}).get(str(target))
    return "other" if count is None else f"{count:,} other"


def _facts(explanation: Explanation) -> list[tuple[str, str]]:
    data = explanation.data
    kept = [("images searched", f"{searched(explanation):,} of {data.get('name', 'unknown data')}")]
    if data.get("fingerprint"):
        kept.append(("fingerprint of the images", str(data["fingerprint"])[:16]))
    return kept + [(name.replace("_", " "), str(value)) for name, value in explanation.settings.items()]
