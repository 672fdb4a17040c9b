"""A PNG sheet of a class: a row an attribute, and in it the examples, redrawn and changed, with their numbers."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from genkit.core.errors import DataError
from genkit.explain.difference import LEAST_FULL, difference, on_white
from genkit.explain.explanation import ExampleImages, Explanation
from genkit.explain.sheet_layout import ALARM, INK, SOFT, SheetRow, laid_out
from genkit.explain.words import percent, quoted
from genkit.images.pixels import to_channels, write_png

HEADS = ("original", "redrawn", "changed", "difference")
LONGEST = 60
"""Letters of a class's name that a sheet shows."""


def sheet(explanation: Explanation, target: int) -> Tensor:
    """(3, H, W) uint8: original, redrawn, changed and their difference of each example; a row an attribute.

    Raises:
        DataError: there are no examples of this class.
    """
    name, found = explanation.classes[target], explanation.examples.get(target, [])
    rows = [_row(number, one) for number, one in enumerate(found, 1) if len(one.images)]
    if not rows:
        raise DataError(f"no examples of {name!r:.60} to draw")
    told = quoted(name if len(name) <= LONGEST else f"{name[:LONGEST]}...")
    doubted = [("Not to be trusted: the page says why, and what to do.", ALARM)]
    lines = [
        (f"What makes the classifier say {told}", INK),
        *(doubted if explanation.checks.reasons else []),
        (
            "A row is an attribute, with its number, and the images that it changes most. Below them: how sure the "
            f"classifier is of {told}, of the redrawn and of the changed image.",
            SOFT,
        ),
        (
            "Difference: orange has become brighter, blue darker. It is amplified: full colour is the largest change "
            f"in that picture, or {percent(LEAST_FULL)} of the way from black to white where none is larger.",
            SOFT,
        ),
    ]
    return laid_out(rows, HEADS, lines)


def _row(number: int, examples: ExampleImages) -> SheetRow:
    pictures = [
        torch.stack([*(to_channels(x, 3) for x in images), on_white(difference(images[1], images[2]))])
        for images in examples.images
    ]
    odds = zip(examples.before.tolist(), examples.after.tolist(), strict=True)
    return SheetRow(str(number), pictures, [("", percent(before), percent(after), "") for before, after in odds])


def write_sheets(folder: Path, explanation: Explanation) -> list[Path]:
    """A sheet a class that has examples: `folder`/class-1.png and so on, by the number of the class.

    Raises:
        CheckpointError: they cannot be written.
    """
    paths = []
    for target in sorted(explanation.examples):
        if explanation.examples[target]:
            paths.append(folder / f"class-{target}.png")
            write_png(paths[-1], sheet(explanation, target))
    return paths
