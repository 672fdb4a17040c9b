"""Normalisation by name."""

from __future__ import annotations

from torch import nn

from genkit.core.errors import RecipeError, suggest
from genkit.layers.arguments import Norm


def norm_layer(kind: Norm, channels: int) -> nn.Module:
    """A layer for (B, channels, H, W) maps.

    "layer" normalises each sample over channels and pixels, which keeps the gradient penalty a per-sample term
    (Gulrajani et al. 2017, section 4); "batch" lets samples interact.

    Raises:
        RecipeError: an unknown kind.
    """
    if kind == "none":
        return nn.Identity()
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "layer":
        return nn.GroupNorm(1, channels)
    raise RecipeError(f"norm: got {kind!r}{suggest(kind, ('none', 'batch', 'layer'))}")
