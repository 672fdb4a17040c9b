"""Images side by side in one picture; small ones are enlarged by whole factors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from PIL import Image, ImageDraw
from torch import Tensor

from genkit.core.errors import DataError, kind_of
from genkit.images.letters import plain_or_font
from genkit.images.pixels import as_uint8, encoded_png

TILE, WIDEST = 64, 2048
"""Pixels that an image is enlarged to at least, as long as the whole picture stays within so many."""
LINE, LETTERS, GAP = 15, 11, 2
"""Pixels of a line of text, of its letters, and between two images."""


def enlarged(images: Tensor, columns: int = 1) -> Tensor:
    """Images (..., H, W) of a picture with so many columns, every pixel repeated a whole number of times."""
    width = images.shape[-1]
    times = max(1, min(-(-TILE // width), WIDEST // (columns * width)))
    return images.repeat_interleave(times, -1).repeat_interleave(times, -2) if times > 1 else images


def grid(images: Tensor, columns: int | None = None, padding: int = GAP) -> Tensor:
    """(N, C, H, W), uint8 or in [-1, 1], -> one uint8 (C, H', W') picture, row by row, white between the images.

    Args:
        columns: images a row; None makes it about square.
        padding: white pixels between two images.

    Raises:
        DataError: no images, another shape, or columns below 1.
    """
    if not isinstance(images, Tensor):
        raise DataError(f"a grid is made of a tensor (N, C, H, W), got {kind_of(images)}")
    if images.dim() != 4 or not len(images):
        raise DataError(f"a grid needs at least one image, (N, C, H, W), got shape {tuple(images.shape)}")
    columns = math.ceil(math.sqrt(len(images))) if columns is None else columns
    if columns < 1:
        raise DataError(f"a grid needs at least 1 column, got {columns}")
    columns = min(columns, len(images))
    pad = torch.nn.functional.pad(enlarged(as_uint8(images), columns), (0, padding, 0, padding), value=255)
    blanks = pad.new_full((-len(pad) % columns, *pad.shape[1:]), 255)
    whole = rearrange(torch.cat([pad, blanks]), "(r c) k h w -> k (r h) (c w)", c=columns)
    return whole[:, : whole.shape[1] - padding, : whole.shape[2] - padding]


def labelled_png(images: Tensor, heads: Sequence[str], rows: Sequence[str] = (), corner: str = "") -> bytes:
    """A PNG file of images (N, C, H, W), as of `grid`, a text over each column and perhaps one beside each row.

    Args:
        corner: what the columns go through, left of their heads; there is room for it where rows have texts.

    Raises:
        DataError: another number of texts than of rows or columns.
    """
    if not heads or (rows and len(images) != len(rows) * len(heads)):
        raise DataError(f"{len(rows)} x {len(heads)} texts for images {list(images.shape)}")
    table = grid(images, len(heads)).expand(3, -1, -1).permute(1, 2, 0).cpu().numpy()
    font = plain_or_font([*heads, *rows, corner], LETTERS)
    left = GAP + math.ceil(max(map(font.getlength, [*rows, corner] if rows else ()), default=-GAP))
    left += 2 * GAP * bool(rows)
    whole = Image.new("RGB", (left + table.shape[1], LINE + table.shape[0]), "white")
    whole.paste(Image.fromarray(table), (left, LINE))
    draw = ImageDraw.Draw(whole)
    width, height = (table.shape[1] + GAP) // len(heads), (table.shape[0] + GAP) // -(-len(images) // len(heads))
    if rows:
        draw.text((GAP, 0), corner, fill="black", font=font)
    for k, text in enumerate(heads):
        draw.text((left + k * width, 0), _fitting(text, width - GAP, font), fill="black", font=font)
    for k, text in enumerate(rows):
        draw.text((GAP, LINE + k * height + (height - LINE) // 2), text, fill="black", font=font)
    return encoded_png(whole)


def _fitting(text: str, width: int, font: Any) -> str:
    """The beginning of a text that is no wider."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    return next((f"{text[:n]}.." for n in range(len(text), 0, -1) if font.getlength(f"{text[:n]}..") <= width), "")
