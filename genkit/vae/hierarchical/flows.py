"""Volume-preserving autoregressive flows of NVAE's posteriors (Vahdat & Kautz 2020, Sec. 3.2).

Kingma et al. 2016, arXiv:1606.04934, without a scale. The paper says less of them than its code; no recording has any.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genkit.vae.energy.weight_norm import WeightNormConv2d

EXPANSION = 6


class MaskedConv2d(WeightNormConv2d):
    """(B, inputs, H, W) -> (B, outputs, H, W), a function of earlier places in raster order, then channels.

    Args:
        latents: channels of the latents; each owns an equal share of inputs and of outputs, in order.
        itself: whether an output also sees the latent of its own place.
        mirrored: in the opposite order of places.
        depthwise: each output sees the input of its own index alone, of as many.
    """

    mask: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        latents: int,
        itself: bool,
        mirrored: bool,
        depthwise: bool = False,
    ):
        super().__init__(1 if depthwise else inputs, outputs, kernel)
        self.groups = inputs if depthwise else 1
        mask = torch.zeros(outputs, inputs, kernel, kernel)
        middle = kernel // 2
        mask[:, :, :middle] = 1
        mask[:, :, middle, :middle] = 1
        source, target = (torch.arange(n) * latents // n for n in (inputs, outputs))
        before = source <= target[:, None] if itself else source < target[:, None]
        mask[:, :, middle, middle] = before.float()
        mask = mask.diagonal().permute(2, 0, 1)[:, None] if depthwise else mask
        self.register_buffer("mask", (mask.flip(2, 3) if mirrored else mask).contiguous(), persistent=False)

    def _direction(self) -> Tensor:
        v = self.v * self.mask
        return v / (v.square().sum((1, 2, 3), keepdim=True) + 1e-10).sqrt()

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, padding=self.v.shape[2] // 2, groups=self.groups)


class ShiftFlow(nn.Module):
    """z -> z - shift(z), (B, latents, H, W); the shift at a place is of those before it, so that volumes stay."""

    def __init__(self, latents: int, mirrored: bool):
        super().__init__()
        hidden = EXPANSION * latents
        last = MaskedConv2d(hidden, latents, 1, latents, itself=True, mirrored=mirrored)
        last.log_norm.data -= math.log(10)  # flows start near the identity
        self.shift = nn.Sequential(
            MaskedConv2d(latents, hidden, 3, latents, itself=False, mirrored=mirrored),
            nn.ELU(),
            MaskedConv2d(hidden, hidden, 5, latents, itself=True, mirrored=mirrored, depthwise=True),
            nn.ELU(),
            last,
        )

    def forward(self, z: Tensor) -> Tensor:
        return z - self.shift(z)


def flow_pair(latents: int) -> nn.Sequential:
    """Two flows, in raster order and in the opposite one."""
    return nn.Sequential(ShiftFlow(latents, mirrored=False), ShiftFlow(latents, mirrored=True))
