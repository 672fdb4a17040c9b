"""Hues of pixels: colours of one saturation and value, as data are tinted and measured."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

SATURATION, VALUE = 0.85, 0.95
"""Of every colour that `coloured` makes."""

CHROMA = SATURATION * VALUE
"""The largest channel of such a colour less the smallest."""


def coloured(hue: Tensor) -> Tensor:
    """(n, 3) in [0, 1]: red, green and blue of hues (n,) in [0, 1): 0 is red, 1/3 green, 2/3 blue."""
    k = (rearrange(hue, "n -> n 1") * 6 + hue.new_tensor([5.0, 3.0, 1.0])) % 6
    return VALUE * (1 - SATURATION * torch.minimum(k, 4 - k).clamp(0, 1))


def hue_of(colour: Tensor) -> Tensor:
    """(n,) in [0, 1): hues of colours (n, 3) of any scale and brightness; 0 of greys."""
    top, chroma = colour.max(1).values, chroma_of(colour)
    red, green, blue = colour.unbind(1)
    sixth = torch.where(
        red == top,
        (green - blue) / chroma % 6,
        torch.where(green == top, (blue - red) / chroma + 2, (red - green) / chroma + 4),
    )
    return torch.where(chroma > 0, sixth / 6 % 1, 0.0)


def chroma_of(x: Tensor) -> Tensor:
    """The largest channel less the smallest: of (n, 3, ...) it is (n, ...)."""
    return x.max(1).values - x.min(1).values
