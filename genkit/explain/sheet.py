"""A PNG sheet of a class: a row an attribute, in it the examples, each redrawn beside changed."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from genkit.core.errors import DataError
from genkit.explain.difference import difference, on_white
from genkit.explain.explanation import Explanation
from genkit.images.grid import grid
from genkit.images.pixels import to_channels, write_png


def sheet(explanation: Explanation, target: int) -> Tensor:
    """(3, H, W) uint8: original, redrawn, changed and their difference of each example; a row an attribute.

    Raises:
        DataError: there are no examples of this class.
    """
    rows = []
    for examples in explanation.examples.get(target, []):
        for original, redrawn, changed in examples.images:
            rows += [to_channels(x, 3) for x in (original, redrawn, changed)]
            rows.append(on_white(difference(redrawn, changed)))
    if not rows:
        raise DataError(f"no examples of {explanation.classes[target]!r:.60} to draw")
    columns = 4 * len(explanation.examples[target][0].images)
    return grid(torch.stack(rows), columns)


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
