"""Rows of examples on one picture: lines of text on top, a head at each row and column, words below the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import rearrange
from PIL import Image, ImageDraw
from torch import Tensor

from genkit.images.grid import enlarged
from genkit.images.letters import font

INK, SOFT, ALARM = "black", "#666666", "#a3211b"
"""Colours of text."""
GAP, MARGIN = 2, 14
"""Pixels between two pictures, and between two examples and around it all."""
SMALLEST, PART = 12, 8
"""Pixels of the letters: at least so many, and a picture's side over PART."""
NARROWEST = 480
"""Pixels that a line of text may take, however few the pictures."""


@dataclass(frozen=True)
class SheetRow:
    """A row.

    Attributes:
        head: left of it.
        examples: pictures (k, 3, h, w) uint8, k the same for all.
        below: a text for each of the pictures of each example.
    """

    head: str
    examples: Sequence[Tensor]
    below: Sequence[Sequence[str]]


def laid_out(rows: Sequence[SheetRow], heads: Sequence[str], lines: Sequence[tuple[str, str]]) -> Tensor:
    """(3, H, W) uint8; small pictures are enlarged by whole factors.

    Args:
        heads: over the k pictures of each example.
        lines: (text, colour) on top, the first one large; broken where they are too long.
    """
    most = max(len(row.examples) for row in rows)
    examples = [[enlarged(one, most * len(heads)) for one in row.examples] for row in rows]
    height, side = examples[0][0].shape[-2:]
    below = [text for row in rows for texts in row.below for text in texts]
    written = [*heads, *below, *(text for text, _ in lines), *(row.head for row in rows)]
    small, large = (font(written, round(times * max(SMALLEST, side // PART))) for times in (1, 1.4))
    line, step = round(1.5 * small.size), side + GAP
    indent = MARGIN + max(round(small.getlength(row.head)) for row in rows) + MARGIN
    wide = len(heads) * step - GAP + MARGIN
    width = max(indent + most * wide, NARROWEST)
    titles = [
        (part, colour, used)
        for (text, colour), used in zip(lines, [large, *[small] * len(lines)], strict=False)
        for part in _broken(text, used, width - 2 * MARGIN)
    ]
    top = MARGIN + sum(round(1.5 * used.size) for *_, used in titles) + MARGIN // 2
    tall = height + line + MARGIN // 2
    whole = Image.new("RGB", (width, top + line + len(rows) * tall + MARGIN // 2), "white")
    draw, y = ImageDraw.Draw(whole), MARGIN
    for text, colour, used in titles:
        draw.text((MARGIN, y), text, fill=colour, font=used)
        y += round(1.5 * used.size)
    for k in range(most * len(heads)):
        left = indent + k // len(heads) * wide + k % len(heads) * step
        draw.text((left, top), heads[k % len(heads)], fill=SOFT, font=small)
    for row, pictures, y in zip(rows, examples, range(top + line, whole.height, tall), strict=False):
        draw.text((MARGIN, y + height // 2), row.head, fill=INK, font=small, anchor="lm")
        for k, one in enumerate(pictures):
            for j, (picture, said) in enumerate(zip(one, row.below[k], strict=True)):
                left = indent + k * wide + j * step
                whole.paste(Image.fromarray(rearrange(picture, "c h w -> h w c").contiguous().numpy()), (left, y))
                draw.text((left + side // 2, y + height + GAP), said, fill=INK, font=small, anchor="ma")
    return rearrange(torch.from_numpy(np.array(whole)), "h w c -> c h w").contiguous()


def _broken(text: str, font: Any, width: int) -> list[str]:
    """A text as lines that are no wider, broken between words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
