"""Pictures of points in the plane."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from genkit.core.errors import DataError
from genkit.core.files import write_atomically
from genkit.images.pixels import encoded_png

BLUE, GREY = (31, 90, 166), (168, 176, 188)
"""Colours of the points, and of the data below them."""
LINE = 14
"""Pixels from one line of text to the next."""


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
        data: (M, 2), drawn in grey below the points.
        extent: the picture shows [-extent, extent] squared, and tells the number of points outside; None takes the
            largest coordinate, of the data where there are some, and a little more.
        size: width and height in pixels.

    Raises:
        DataError: not (N, 2), or not finite.
    """
    points = _checked_points(points)
    below = None if data is None else _checked_points(data)
    extent = extent or (1.05 * _reach(points) if below is None else 1.25 * _reach(below))
    picture = Image.new("RGB", (size, size), "white")
    draw, legend = ImageDraw.Draw(picture), []
    for what, some, colour in (("data", below, GREY), ("samples", points, BLUE)):
        if some is not None:
            outside = _dots(draw, some, extent, size, colour)
            legend.append((what + (f", {outside} of {len(some)} outside" if outside else ""), colour))
    for k, (text, colour) in enumerate(legend if below is not None else ()):
        draw.text((6, 4 + LINE * k), text, fill=colour)
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


def _dots(draw: ImageDraw.ImageDraw, points: Tensor, extent: float, size: int, colour: tuple[int, ...]) -> int:
    """Draws the points; returns the number of those outside."""
    pixels = (points * points.new_tensor([1.0, -1.0]) / extent + 1) / 2 * (size - 1)
    seen = ((pixels > -2) & (pixels < size + 2)).all(1)
    for x, y in np.unique(pixels[seen].round().int().numpy(), axis=0).tolist():
        draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=colour)
    return int((~seen).sum())
