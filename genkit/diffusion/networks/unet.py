"""The UNets of diffusion models: DDPM, improved DDPM and ADM, through diffusers' UNet2DModel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genkit.core.errors import ConditionError, RecipeError
from genkit.diffusion.networks.denoiser import Denoiser
from genkit.diffusion.networks.diffusers_unet import unet2d
from genkit.diffusion.networks.patches import from_patches, to_patches
from genkit.diffusion.networks.quick_blocks import quick_layout
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
from genkit.layers.arguments import Channels, Classes, Rate, Width
from genkit.layers.labels import check_classes, check_labels


class UNet(Denoiser):
    """The UNet of Dhariwal and Nichol 2021 (arXiv:2105.05233), and with other arguments those of its predecessors.

    ADM is the default. Improved DDPM (Nichol and Dhariwal 2021) has `resample="conv"`, `heads=4`; DDPM (Ho et al.
    2020) has `resample="conv"`, `scale_shift=False`, `heads=1`. Whatever the arguments, the last layers of every
    residual branch and of the network start at zero, so that a new network answers zero.

    Args:
        size: pixels of a side.
        channels: 1 for grey, 3 for colour.
        width: channels of a map at multiplier 1, and of the sinusoidal embedding of the step.
        multipliers: a level's channels over `width`, from fine to coarse; each level has half the side of the last.
        blocks: residual blocks of an encoder level; a decoder level has one more.
        attention: sides of the maps that attention follows, in pixels of the map (size / patch / 2**level). The middle
            always has attention.
        head_width: channels of an attention head.
        heads: that many heads at every width instead; 0 goes by head_width.
        decoder_heads: that many in the decoder; 0 is as everywhere.
        classes: 0 is unconditional.
        unlabelled: the label `classes` stands for "no label", as classifier-free guidance needs.
        variance: it makes 2C channels, the prediction and then what says the variance.
        dropout: in residual blocks, before their last convolution.
        scale_shift: the embedding scales and shifts after a block's second norm ("AdaGN"); else it is added before it.
        resample: between levels: residual blocks, 3x3 convolutions, or pooling and repetition without parameters.
        patch: side of the squares of pixels that become channels, and back at the end: 2 makes a network of half the
            side, four times as fast.
        groups: of every norm, 32 as published, or the largest divisor of it that divides every width. A group of a
            single channel loses the mean of its map, which shows as tinted or chequered samples: give narrow networks
            fewer groups.

    Raises:
        RecipeError: sides that do not halve, attention where there is no map, or heads or norms that do not divide.
    """

    def __init__(
        self,
        size: Side = 32,
        channels: Channels = 3,
        width: Width = 128,
        multipliers: Sequence[Multiplier] = (1, 2, 2, 2),
        blocks: Blocks = 2,
        attention: Sequence[Side] = (16, 8),
        head_width: Width = 64,
        heads: Count = 0,
        decoder_heads: Count = 0,
        classes: Classes = 0,
        unlabelled: bool = False,
        variance: bool = False,
        dropout: Rate = 0.0,
        scale_shift: bool = True,
        resample: Resample = "residual",
        patch: Patch = 1,
        groups: Groups = 32,
    ):
        super().__init__()
        side = patched_side(size, patch)
        plan = UNetPlan(
            side,
            width,
            multipliers,
            blocks,
            attention,
            head_width,
            heads,
            scale_shift,
            resample,
            dropout,
            decoder_heads,
            groups,
        )
        self.sample_shape, self.outputs = (channels, size, size), channels * (1 + variance)
        self.classes, self.unlabelled, self.patch = check_classes(classes), check_unlabelled(classes, unlabelled), patch
        self.unet: Any = unet2d(plan, channels * patch**2, self.outputs * patch**2, classes + unlabelled)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, C, H, W), step (B,) whole or fractional, label (B,) int64 -> (B, outputs, H, W).

        Raises:
            ConditionError: a label that it does not take, or none where it needs one.
        """
        check_labels(y, self.classes + self.unlabelled)
        x = quick_layout(to_patches(x, self.patch))
        return from_patches(self.unet(x, t, class_labels=y, return_dict=False)[0], self.patch)


class SuperResolutionUNet(UNet):
    """A UNet that also sees a small image: enlarged bilinearly and laid beside the noisy one (arXiv:2105.05233, 4.3).

    Published: 64 -> 256 has width 192, `multipliers=[1, 1, 2, 2, 4, 4]`, `heads=4`; 128 -> 512 attends at 32 and 16 and
    has heads of 64 channels.

    Args:
        low_size: pixels of a side of the small image.
        size, channels, width, multipliers, blocks, attention, head_width, heads, decoder_heads, classes, unlabelled,
            variance, dropout, scale_shift, resample, patch, groups: as in UNet.

    Raises:
        RecipeError: as UNet, and a low_size that is not below size.
    """

    def __init__(
        self,
        low_size: Side,
        size: Side = 256,
        channels: Channels = 3,
        width: Width = 192,
        multipliers: Sequence[Multiplier] = (1, 1, 2, 2, 4, 4),
        blocks: Blocks = 2,
        attention: Sequence[Side] = (32, 16, 8),
        head_width: Width = 64,
        heads: Count = 0,
        decoder_heads: Count = 0,
        classes: Classes = 0,
        unlabelled: bool = False,
        variance: bool = False,
        dropout: Rate = 0.0,
        scale_shift: bool = True,
        resample: Resample = "residual",
        patch: Patch = 1,
        groups: Groups = 32,
    ):
        if low_size >= size:
            raise RecipeError(f"low_size: must be below size, {size}; got {low_size}")
        super().__init__(
            size, channels, width, multipliers, blocks, attention, head_width, heads, decoder_heads,
            classes, unlabelled, variance, dropout, scale_shift, resample, patch, groups,
        )  # fmt: skip
        self.low_shape = (channels, low_size, low_size)
        inputs = 2 * channels * patch**2
        self.unet.conv_in = nn.Conv2d(inputs, self.unet.conv_in.out_channels, 3, padding=1)
        self.unet.register_to_config(in_channels=inputs)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None, *, low_res: Tensor | None = None) -> Tensor:
        """As UNet, given the small images too, (B, C, low_size, low_size) in [-1, 1].

        Raises:
            ConditionError: no small image, or as UNet.
        """
        if low_res is None:
            raise ConditionError(f"this network needs low_res, small images (B, {', '.join(map(str, self.low_shape))})")
        large = F.interpolate(low_res, x.shape[-2:], mode="bilinear")
        return super().forward(torch.cat([x, large], dim=1), t, y)


def check_unlabelled(classes: int, unlabelled: bool) -> bool:
    """`unlabelled`.

    Raises:
        RecipeError: an unconditional network, which has no labels to leave out.
    """
    if unlabelled and not classes:
        raise RecipeError(
            "unlabelled: only a network with classes can be without a label; set classes, or leave it out"
        )
    return unlabelled
