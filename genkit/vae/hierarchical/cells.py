"""The residual cells of NVAE (Vahdat & Kautz 2020, arXiv:2007.03898, Fig. 3), with the constants of their code."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genkit.vae.energy.weight_norm import WeightNormConv2d

RESIDUAL = 0.1
"""Share of a cell's branch in its output."""
MOMENTUM = 0.05
"""Momentum of batch norms."""


def batch_norm(width: int) -> nn.BatchNorm2d:
    """The batch norm of all cells."""
    return nn.BatchNorm2d(width, momentum=MOMENTUM)


class StridedConv2d(WeightNormConv2d):
    """(B, inputs, H, W) -> (B, outputs, H / 2, W / 2)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, stride=2, padding=self.v.shape[2] // 2)


class SqueezeExcite(nn.Module):
    """(B, C, H, W) -> the same, each channel times a gate in (0, 1) of all means. Hu et al. 2018, arXiv:1709.01507."""

    def __init__(self, width: int):
        super().__init__()
        hidden = max(width // 16, 4)
        self.down, self.up = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.up(self.down(x.mean((2, 3))).relu()).sigmoid()
        return x * gate[:, :, None, None]


class Cell(nn.Module):
    """skip(x) + 0.1 squeeze_excite(branch(x)).

    Args:
        branch, skip: (B, inputs, H, W) -> (B, width, ...), of the same size.
    """

    def __init__(self, branch: nn.Module, skip: nn.Module, width: int):
        super().__init__()
        self.branch, self.skip, self.gate = branch, skip, SqueezeExcite(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.skip(x) + RESIDUAL * self.gate(self.branch(x))
        return out


def encoder_cell(width: int) -> Cell:
    """(B, width, H, W) -> the same: batch norm, swish, convolution, twice."""
    return Cell(_norm_swish_convs(WeightNormConv2d(width, width, 3)), nn.Identity(), width)


def halving_cell(inputs: int) -> Cell:
    """(B, inputs, H, W) -> (B, 2 inputs, H / 2, W / 2); H and W are even."""
    return Cell(_norm_swish_convs(StridedConv2d(inputs, 2 * inputs, 3)), FourPhases(inputs, 2 * inputs), 2 * inputs)


def decoder_cell(width: int, expansion: int) -> Cell:
    """(B, width, H, W) -> the same: a mobile inverted bottleneck."""
    return Cell(nn.Sequential(*_inverted_bottleneck(width, width, expansion)), nn.Identity(), width)


def doubling_cell(inputs: int, expansion: int) -> Cell:
    """(B, inputs, H, W) -> (B, inputs / 2, 2 H, 2 W)."""
    skip = nn.Sequential(
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        WeightNormConv2d(inputs, inputs // 2, 1, bias=False),
    )
    branch = nn.Sequential(nn.Upsample(scale_factor=2), *_inverted_bottleneck(inputs, inputs // 2, expansion))
    return Cell(branch, skip, inputs // 2)


class FourPhases(nn.Module):
    """(B, inputs, H, W) -> (B, outputs, H / 2, W / 2): each place of a 2 x 2 square makes a quarter of the outputs."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        widths = [outputs // 4] * 3 + [outputs - 3 * (outputs // 4)]
        self.convs = nn.ModuleList(StridedConv2d(inputs, width, 1) for width in widths)

    def forward(self, x: Tensor) -> Tensor:
        h = F.silu(x)
        phases = h, h[:, :, 1:, 1:], h[:, :, :, 1:], h[:, :, 1:, :]
        return torch.cat([conv(phase) for conv, phase in zip(self.convs, phases, strict=True)], 1)


def _norm_swish_convs(first: WeightNormConv2d) -> nn.Sequential:
    outputs, inputs = first.v.shape[:2]
    second = batch_norm(outputs), nn.SiLU(), WeightNormConv2d(outputs, outputs, 3)
    return nn.Sequential(batch_norm(inputs), nn.SiLU(), first, *second)


def _inverted_bottleneck(inputs: int, outputs: int, expansion: int) -> list[nn.Module]:
    """Sandler et al. 2018, arXiv:1801.04381: expand, a depthwise 5x5 convolution, project."""
    hidden = expansion * inputs
    return [
        batch_norm(inputs),
        *(nn.Conv2d(inputs, hidden, 1, bias=False), batch_norm(hidden), nn.SiLU()),
        *(nn.Conv2d(hidden, hidden, 5, padding=2, groups=hidden, bias=False), batch_norm(hidden), nn.SiLU()),
        *(nn.Conv2d(hidden, outputs, 1, bias=False), batch_norm(outputs)),
    ]
