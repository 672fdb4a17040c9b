"""Pictures of points in the plane."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from genkit.core.errors import DataError
from genkit.core.files import write_atomically
from genkit.images.pixels import encoded_png

GAP = 2
"""Pixels between two scatter pictures."""


def points_png(
    points: Tensor,
    path: str | Path | None = None,
    *,
    data: Tensor | None = None,
    extent: float | None = None,
    size: int = 512,
) -> bytes:
    """Scatter picture of (N, 2) points as PNG bytes, also written to `path` if given. x goes right, y up.

    Args:
        data: (M, 2), drawn on the left of the points, at the same scale.
        extent: the picture shows [-extent, extent] squared, and tells the number of points outside; None takes the
            largest coordinate, of the data where there are some, and a little more.
        size: width and height in pixels, of each of the two.

    Raises:
        DataError: not (N, 2), or not finite.
    """
    points = _checked_points(points)
    if data is None:
        picture = _scatter(points, extent or 1.05 * _reach(points), size)
    else:
        data = _checked_points(data)
        extent = extent or 1.25 * _reach(data)
        picture = Image.new("RGB", (2 * size + GAP, size), "black")
        picture.paste(_scatter(data, extent, size, "data"), (0, 0))
        picture.paste(_scatter(points, extent, size, "samples"), (size + GAP, 0))
    content = encoded_png(picture)
    if path is not None:
        write_atomically(Path(path), content)
    return content


def _checked_points(points: Tensor) -> Tensor:
    points = points.detach().cpu().double()
    if points.dim() != 2 or points.shape[1] != 2 or not points.isfinite().all():
        raise DataError(f"a scatter picture needs finite points (N, 2), got shape {tuple(points.shape)}")
    return points


def _reach(points: Tensor) -> float:
    return float(points.abs().max()) if points.numel() and points.any() else 1.0


def _scatter(points: Tensor, extent: float, size: int, title: str = "") -> Image.Image:
    picture = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(picture)
    pixels = (points * points.new_tensor([1.0, -1.0]) / extent + 1) / 2 * (size - 1)
    seen = ((pixels > -2) & (pixels < size + 2)).all(1)
    for x, y in np.unique(pixels[seen].round().int().numpy(), axis=0).tolist():
        draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=(31, 90, 166))
    outside = f", {int((~seen).sum())} of {len(seen)} outside" if not seen.all() else ""
    if title:
        draw.text((6, 4), title + outside, fill="black")
    return picture
