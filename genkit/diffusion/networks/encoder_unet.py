"""The classifier of noisy images that guides a diffusion model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from genkit.diffusion.networks.denoiser import NoisyEncoder
from genkit.diffusion.networks.diffusers_unet import encode, encoder2d
from genkit.diffusion.networks.patches import to_patches
from genkit.diffusion.networks.pools import Pool, make_pool
from genkit.diffusion.networks.unet_plan import (
    Blocks,
    Count,
    Groups,
    Multiplier,
    Patch,
    Resample,
    Side,
    UNetPlan,
    patched_side,
)
from genkit.layers.arguments import Channels, Rate, Width


class EncoderUNet(NoisyEncoder):
    """The encoder and the middle of a UNet, then a pool (Dhariwal and Nichol 2021, arXiv:2105.05233, section 4).

    Published: width 128 and the multipliers of the diffusion model, `blocks=4` at 64 pixels and 2 above. Its parameters
    may be frozen: the gradient by the image that guidance asks for needs none of theirs.

    Args:
        size: pixels of a side.
        channels: 1 for grey, 3 for colour.
        classes: how many logits.
        width: channels of a map at multiplier 1, and of the sinusoidal embedding of the step.
        multipliers: a level's channels over `width`, from fine to coarse; each level has half the side of the last.
        blocks: residual blocks of a level.
        attention: sides of the maps that attention follows, in pixels of the map (size / patch / 2**level).
        head_width: channels of an attention head.
        heads: that many heads at every width instead, but for the pool's; 0 goes by head_width.
        pool: "attention" of the last map's mean over its pixels, "adaptive" for the mean alone, "spatial" and
            "spatial_v2" for two layers on the means of all maps.
        dropout: in residual blocks, before their last convolution.
        scale_shift: the embedding scales and shifts after a block's second norm; else it is added before it.
        resample: between levels: residual blocks, 3x3 convolutions, or pooling without parameters.
        patch: side of the squares of pixels that become channels.
        groups: of every norm, see `UNet`.

    Raises:
        RecipeError: sides that do not halve, attention where there is no map, or heads or norms that do not divide.
    """

    def __init__(
        self,
        size: Side = 32,
        channels: Channels = 3,
        classes: Annotated[int, Field(ge=2, le=10_000)] = 10,
        width: Width = 128,
        multipliers: Sequence[Multiplier] = (1, 2, 2, 2),
        blocks: Blocks = 2,
        attention: Sequence[Side] = (16, 8),
        head_width: Width = 64,
        heads: Count = 0,
        pool: Pool = "attention",
        dropout: Rate = 0.0,
        scale_shift: bool = True,
        resample: Resample = "residual",
        patch: Patch = 1,
        groups: Groups = 32,
    ):
        super().__init__()
        side = patched_side(size, patch)
        plan = UNetPlan(
            side, width, multipliers, blocks, attention, head_width, heads, scale_shift, resample, dropout, 0, groups
        )
        if pool == "attention":
            plan.check_divides("head_width", head_width, plan.widths[-1])
        self.sample_shape, self.classes, self.patch = (channels, size, size), classes, patch
        self.encoder: Any = encoder2d(plan, channels * patch**2)
        self.pool = make_pool(pool, plan, classes)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """(B, C, H, W), step (B,) whole or fractional -> logits (B, classes)."""
        return self.pool(encode(self.encoder, to_patches(x, self.patch), t))
