"""An explanation as one HTML file that a person reads: nothing outside it is needed, no script is in it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan, nan
from pathlib import Path
from typing import Any

from genkit import __version__
from genkit.core.files import write_text_atomically
from genkit.explain.charts import curves, histogram, track
from genkit.explain.difference import LEAST_FULL, difference, full_colour, url
from genkit.explain.explanation import Attribute, ExampleImages, Explanation
from genkit.explain.facts import facts, searched
from genkit.explain.readings import readings
from genkit.explain.remedies import remedies
from genkit.explain.words import CENTRES, between, classes_of, effect, enough, moved, percent, quoted, sorts

SHOWN = 5
"""Attributes of a class that are shown with pictures; all are in the curve and in explanation.json."""

TURNS = dict.fromkeys(map(ord, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))
"""Characters that turn the direction of writing, beyond the name that they stand in."""

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
        goes_on: options of genkit explain train with which the training of the StyleEx goes on; empty where it cannot.
    """

    classifier: str
    facts: tuple[tuple[str, str], ...] = ()
    note: str = ""
    categories: frozenset[str] = frozenset()
    goes_on: str = ""


def write_page(path: Path, explanation: Explanation, about: About) -> None:
    """Raises CheckpointError where it cannot be written."""
    write_text_atomically(path, page(explanation, about))


def page(explanation: Explanation, about: About) -> str:
    """The HTML; everything that came from elsewhere is escaped, every picture is inside."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    explanation = replace(explanation, classes=tuple(name.translate(TURNS) for name in explanation.classes))
    pages = Environment(autoescape=True, undefined=StrictUndefined, loader=FileSystemLoader(Path(__file__).parent))
    checks = readings(explanation.checks)
    reasons = [*explanation.checks.reasons, *(each.reason for each in checks if not each.well)]
    doubts = list(dict.fromkeys(reason[:1].upper() + reason[1:].translate(TURNS) for reason in reasons))
    targets = [_target(explanation, target, about) for target in sorted(explanation.attributes)]
    moves = [name for found in explanation.attributes.values() for a in found for name in a.moves]
    return pages.get_template("explanation.html.j2").render(
        about=about,
        classes=sorts(explanation.classes),
        targets=targets,
        checks=[each for each in checks if each.well],
        right=_right(explanation),
        doubts=doubts,
        finding=doubts[0].split(": ")[0].rstrip(".") if doubts else "",
        remedies=remedies(explanation, searched(explanation), **_named(about), goes_on=about.goes_on) if doubts else [],
        n=searched(explanation),
        temperature=_temperature(about),
        least_full=percent(LEAST_FULL),
        measured=bool(moves),
        centred=any(name in CENTRES for name in moves),
        only_probabilities=percent(explanation.only_probabilities),
        dotted=any(target["dotted"] for target in targets),
        facts=[*about.facts, *facts(explanation)],
        version=__version__,
    )


def _right(explanation: Explanation) -> str:
    """A sentence on how often the classifier is right; empty where the images have no labels."""
    right, labelled = (explanation.data.get(name) for name in ("right", "labelled"))
    if right is None or not labelled:
        return ""
    order = explanation.data.get("order", ())
    meant = [f"{quoted(name)} is {label}" for name, label in zip(explanation.classes, order, strict=False)]
    taken = f", where {classes_of(meant)}" if meant else ""
    return f"The classifier is right on {percent(right)} of {labelled:,} labelled images{taken}."


def _temperature(about: About) -> str:
    """The temperature that softens the classifier; empty where none does."""
    told = dict(about.facts).get("temperature", "1")
    return "" if told == "1" else told


def _named(about: About) -> dict[str, str]:
    """Words of a command for the classifier and the run of the StyleEx, as far as they are known."""
    facts = dict(about.facts)
    classifier, run = facts.get("classifier"), facts.get("generator")
    known = {"classifier": classifier if classifier != run else None, "run": run}
    return {what: shlex.quote(name) for what, name in known.items() if name}


def _target(explanation: Explanation, target: int, about: About) -> Told:
    name = explanation.classes[target]
    found, examples = explanation.attributes[target][:SHOWN], explanation.examples.get(target, [])
    shares, random = explanation.sufficiency.get(target, []), explanation.random.get(target, [])
    alone = explanation.alone.get(target, nan)
    others = explanation.data.get("outside", {}).get(str(target))
    return {
        "number": target,
        "name": name,
        "outside": "other" if others is None else f"{others:,} other",
        "enough": enough(shares, random, name, others, explanation.on_originals.get(target)),
        "curves": curves(shares, random, alone) if len(shares) > 1 else "",
        "dotted": len(shares) > 1 and not isnan(alone),
        "attributes": [
            _attribute(i, attribute, name, about) | _shown(explanation, target, examples[i : i + 1])
            for i, attribute in enumerate(found)
        ],
        "more": len(explanation.attributes[target]) - len(found),
    }


def _attribute(i: int, attribute: Attribute, name: str, about: About) -> Told:
    return {
        "number": i + 1,
        "moves": moved(attribute.moves, about.categories, attribute.drifts),
        "effect": effect(attribute, name),
        "histogram": histogram(attribute.effects),
        "place": f"{attribute.layer}, channel {attribute.channel}, towards its "
        f"{'largest' if attribute.direction else 'smallest'} value",
    }


def _shown(explanation: Explanation, target: int, examples: Sequence[ExampleImages]) -> Told:
    """The rows of an attribute, of how many images they are those that change most, and how differences are drawn."""
    rows = [row for one in examples for row in _rows(one)]
    if not rows:
        return {"rows": []}
    count = explanation.data.get("searched_outside", {}).get(str(target))
    others = f"images searched and not called {quoted(explanation.classes[target])}"
    return {
        "rows": rows,
        "chosen": f"The {len(rows)} of {f'{count:,} {others}' if count else f'the {others}'} that change most",
        "full": between([row["full"] for row in rows]),
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
            "full": full_colour(redrawn, changed),
            "before": percent(before),
            "after": percent(after),
            "track": track(before, after),
        }
        for (original, redrawn, changed), before, after in columns
    ]
