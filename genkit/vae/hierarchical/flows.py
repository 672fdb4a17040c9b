"""Volume-preserving autoregressive flows of NVAE's posteriors (Vahdat & Kautz 2020, Sec. 3.2).

Kingma et al. 2016, arXiv:1606.04934, without a scale; the rest is as in NVAE's code.
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
        bias: added to each output.
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
        bias: bool = False,
    ):
        super().__init__(1 if depthwise else inputs, outputs, kernel, bias)
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
    """z -> z - shift(z), (B, latents, H, W); the shift at a place is of those before it, so that volumes stay.

    Args:
        unit: z and what it becomes are given in so many of the numbers that the shift is of.
    """

    def __init__(self, latents: int, mirrored: bool, unit: float = 1.0):
        super().__init__()
        hidden, self.unit = EXPANSION * latents, unit
        last = MaskedConv2d(hidden, latents, 1, latents, itself=True, mirrored=mirrored, bias=True)
        last.log_norm.data -= math.log(10)  # flows start near the identity
        self.shift = nn.Sequential(
            MaskedConv2d(latents, hidden, 3, latents, itself=False, mirrored=mirrored),
            nn.ELU(),
            MaskedConv2d(hidden, hidden, 5, latents, itself=True, mirrored=mirrored, depthwise=True),
            nn.ELU(),
            nn.ELU(),  # once more, as in their code
            last,
        )

    def forward(self, z: Tensor) -> Tensor:
        return z - self.shift(self.unit * z) / self.unit


def flow_pair(latents: int, unit: float = 1.0) -> nn.Sequential:
    """Two flows, in raster order and in the opposite one."""
    return nn.Sequential(*(ShiftFlow(latents, mirrored, unit) for mirrored in (False, True)))
