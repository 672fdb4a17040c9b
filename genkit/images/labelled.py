"""A table of images with a text beside each row and over each column."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw
from torch import Tensor

from genkit.core.errors import DataError
from genkit.images.pixels import encoded_png, grid, to_uint8

TILE = 64
"""Pixels that an image has at least, so that a text fits over it."""
LINE, LETTER, GAP = 14, 7, 2


def labelled_png(images: Tensor, rows: Sequence[str], columns: Sequence[str]) -> bytes:
    """A PNG file of images (rows, columns, C, H, W) in [-1, 1]; small ones are enlarged by whole numbers.

    Raises:
        DataError: another number of texts than of rows or columns.
    """
    if images.dim() != 5 or tuple(images.shape[:2]) != (len(rows), len(columns)):
        raise DataError(f"{len(rows)} x {len(columns)} texts for images {list(images.shape)}")
    times = -(-TILE // images.shape[4])
    tiles = to_uint8(images.flatten(0, 1)).repeat_interleave(times, 2).repeat_interleave(times, 3)
    table = grid(tiles, len(columns), GAP).expand(3, -1, -1).permute(1, 2, 0).cpu().numpy()
    left = LETTER * max(map(len, rows)) + GAP
    whole = Image.new("RGB", (left + table.shape[1], LINE + table.shape[0]), "white")
    whole.paste(Image.fromarray(table), (left, LINE))
    draw, (height, width) = ImageDraw.Draw(whole), (tiles.shape[2] + GAP, tiles.shape[3] + GAP)
    for k, text in enumerate(columns):
        draw.text((left + k * width, 1), text[: width // LETTER], fill="black")
    for k, text in enumerate(rows):
        draw.text((GAP, LINE + k * height + height // 2 - LINE // 2), text, fill="black")
    return encoded_png(whole)
