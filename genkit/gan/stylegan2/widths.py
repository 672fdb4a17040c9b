"""Channels of the maps of StyleGAN2, by resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from genkit.core.errors import RecipeError
from genkit.layers.arguments import Width

Config = Literal["e", "f"]
StyleSize = Annotated[int, Field(ge=8, le=1024)]
LARGEST = 512
CHANNELS_TIMES_SIDE = {"e": 16384, "f": 32768}
"""Channels of a larger map times its side: configurations E and F of the paper."""


def sides(size: int) -> list[int]:
    """4, 8, ..., size.

    Raises:
        RecipeError: not a power of two from 8 to 1024.
    """
    accepted = [2**k for k in range(3, 11)]
    if size not in accepted:
        nearest = min(accepted, key=lambda side: abs(side - size))
        raise RecipeError(f"size: {size} is no power of two from 8 to 1024; nearest {nearest}")
    return [2**k for k in range(2, size.bit_length())]


def map_widths(size: int, config: Config, widths: Sequence[Width]) -> list[int]:
    """Channels of the maps of 4, 8, ..., size pixels: `widths` where they are given, else those of `config`.

    Raises:
        RecipeError: not one width a map, or a size that is none.
    """
    every = sides(size)
    if widths and len(widths) != len(every):
        raise RecipeError(f"widths: one for each map of {', '.join(map(str, every))} pixels; got {len(widths)}")
    return list(widths) or [min(LARGEST, CHANNELS_TIMES_SIDE[config] // side) for side in every]
