"""Gated layers: a linear map times the sigmoid of another. Dauphin et al. 2017, arXiv:1612.08083."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn


def he_linear(inputs: int, outputs: int) -> nn.Linear:
    """Weights N(0, 2 / inputs) (He et al. 2015, arXiv:1502.01852), biases as PyTorch's."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=math.sqrt(2 / inputs))
    return layer


class GatedLinear(nn.Module):
    """(B, inputs) -> (B, outputs), (W1 x + b1) * sigmoid(W2 x + b2).

    Two layers, not one of double width: an optimiser that normalises the gradient of each tensor tells them apart.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.value, self.gate = he_linear(inputs, outputs), he_linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.value(x) * torch.sigmoid(self.gate(x))


class GatedConv2d(nn.Module):
    """(B, inputs, H, W) -> (B, outputs, ceil(H / stride), ceil(W / stride)); `kernel` is odd."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1):
        super().__init__()
        self.value = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
        self.gate = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.value(x) * torch.sigmoid(self.gate(x))


class GatedMLP(nn.Sequential):
    """(B, ...), taken as flat, -> (B, widths[-1]): GatedLinear layers from each width to the next."""

    def __init__(self, *widths: int):
        super().__init__(*(GatedLinear(a, b) for a, b in pairwise(widths)))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))  # type: ignore[no-any-return]
