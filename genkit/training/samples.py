"""The picture that a run leaves behind at intervals and at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from genkit.core.generator import Generator, Pictured
from genkit.images.pixels import grid, write_png
from genkit.images.scatter import points_png


def draw_samples(product: Pictured, path: Path, *, seed: int, data: Any = None) -> None:
    """What `product` shows of itself: a grid of images, or a scatter of points beside the first of the `data`, of which
    conditions that cannot be drawn are taken too."""
    if data is not None and isinstance(product, Generator):
        product = product.over(data)
    samples, columns = product.pictured(torch.Generator().manual_seed(seed))
    if samples.dim() == 4:
        write_png(path, grid(samples, columns))
    else:
        points_png(samples, path, data=None if data is None else data.x[: len(samples)])
