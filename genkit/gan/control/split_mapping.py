"""One mapping network for each slice of the latent. Shoshan et al. 2021, arXiv:2101.02477."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

import torch
from torch import Tensor, nn

from genkit.core.errors import RecipeError, shown
from genkit.core.precision import full_precision
from genkit.gan.stylegan2.equalised import dense
from genkit.gan.stylegan2.mapping import LR_MULTIPLIER, unit_scale


def slices_of(split: Mapping[str, int]) -> dict[str, slice]:
    """Place of each part of the latent, in the order of `split`: name -> its width."""
    ends = accumulate(split.values())
    return {name: slice(end - width, end) for (name, width), end in zip(split.items(), ends, strict=True)}


class SplitMapping(nn.Module):
    """z (B, D) -> w (B, D): a slice of w is a function of the same slice of z alone.

    Each has layers width -> mid -> ... -> mid -> width of its own, and is scaled to a mean square of one by itself.

    Args:
        split: name -> width, in the order of the latent.
        mid: width of the layers between.
        depth: layers of each.
        lr_multiplier: learning-rate multiplier of the layers.
    """

    def __init__(self, split: Mapping[str, int], mid: int, depth: int, lr_multiplier: float = LR_MULTIPLIER):
        super().__init__()
        self.slices = slices_of(split)
        self.parts = nn.ModuleList(dense([n, *[mid] * (depth - 1), n], lr_multiplier) for n in split.values())

    def forward(self, z: Tensor, condition: Mapping[str, Tensor] | None = None) -> Tensor:
        """w, float32 in mixed precision too."""
        with full_precision(z):
            given = (unit_scale(z[:, at]) for at in self.slices.values())
            return torch.cat([part(x) for part, x in zip(self.parts, given, strict=True)], 1)


def check_split(split: Mapping[str, int], latent_dim: int, style_dim: int, classes: int, mixing: float) -> None:
    """Whether a StyleGAN2 of these arguments can have the split.

    Raises:
        RecipeError: in one line, which of them does not go with it.
    """
    total = sum(split.values())
    if total != latent_dim or latent_dim != style_dim:
        parts = " + ".join(f"{name} {width}" for name, width in split.items())
        raise RecipeError(f"split: {parts} = {total} must equal latent_dim, {latent_dim}, and style_dim, {style_dim}")
    for name in split:
        if not name.isidentifier():
            raise RecipeError(f"split: a slice is called by letters, digits and _, got {shown(name)}")
    if mixing:
        raise RecipeError(
            f"mixing: images of two latents would share no slice with others; set 0 with a split, got {mixing:g}"
        )
    if classes:
        raise RecipeError(f"classes: a label would be part of every slice; set 0 with a split, got {classes}")
