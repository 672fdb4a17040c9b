"""Fonts that have the letters of what is written on pictures."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from PIL import ImageFont

from genkit.core.errors import MissingLetters

BOXES = ("Last Resort", "Last Resort High-Efficiency")
"""Fonts, one of them matplotlib's, whose letters are boxes alone."""


def plain_or_font(texts: Sequence[str], size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, which has the letters of English, or one that has those of all texts."""
    return ImageFont.load_default(size) if all(map(str.isascii, texts)) else font(texts, size)


def font(texts: Sequence[str], size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib, or the first font of this machine that has the letters of all texts.

    Warns:
        MissingLetters: no font has them all; the one that lacks fewest is taken.
    """
    return ImageFont.truetype(_file_with(frozenset(map(ord, "".join("".join(texts).split())))), size)


@cache
def _file_with(letters: frozenset[int]) -> Path:
    best, missing = Path(), letters
    for path in _files():
        lacking = letters - _letters_of(path)
        if not lacking:
            return path
        if best == Path() or len(lacking) < len(missing):
            best, missing = path, lacking
    named = "".join(map(chr, sorted(missing)))
    warnings.warn(
        MissingLetters(f"no font of this machine has {named}, drawn as boxes; install one, such as Noto Sans CJK"),
        stacklevel=4,
    )
    return best


def _files() -> Iterator[Path]:
    import matplotlib

    yield Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    from matplotlib.font_manager import fontManager

    regular = (found for found in fontManager.ttflist if found.style == "normal" and found.weight == 400)
    yield from sorted(Path(found.fname) for found in regular if found.name not in BOXES)


@cache
def _letters_of(path: Path) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(path)).get_charmap())
