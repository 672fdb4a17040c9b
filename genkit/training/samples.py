"""The picture of samples that a run leaves behind at intervals and at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from genkit.core.generator import Generator
from genkit.images.pixels import grid, write_png
from genkit.images.scatter import points_png

POINTS = 2000
COLUMNS = 16
"""Classes that a grid shows at most, one a column."""


def draw_samples(generator: Generator, path: Path, *, seed: int, data: Any = None) -> None:
    """A picture of samples: a grid of 64 images, one class a column where there are classes, or a scatter of points.

    Points are drawn beside the first of the `data`.
    """
    rng = torch.Generator().manual_seed(seed)
    if len(generator.sample_shape) != 3:
        points_png(generator.sample(POINTS, rng=rng), path, data=None if data is None else data.x[:POINTS])
        return
    columns, condition = 8, None
    if "label" in generator.conditions:
        columns = min(generator.conditions["label"].classes, COLUMNS)
        condition = {"label": torch.arange(8 * columns) % columns}
    write_png(path, grid(generator.sample(8 * columns, condition=condition, rng=rng), columns))
