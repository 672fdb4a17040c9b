"""Layers with an equalised learning rate: weights start N(0, 1) and are scaled when used. Karras et al. 2018, sec. 4.1.

Leaky ReLU is positively homogeneous, so the gain sqrt(2) of the authors' activations is applied before them, to
weights and biases, which have fewer numbers than maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GAIN = 2**0.5
"""Gain of every activation, by He's rule."""
SLOPE = 0.2


def activated(x: Tensor) -> Tensor:
    """Leaky ReLU, without the gain, in place: its derivative asks for its result alone, so that one map is kept."""
    return F.leaky_relu_(x, SLOPE)


class EqualisedLinear(nn.Module):
    """(B, inputs) -> (B, outputs).

    Args:
        rate: learning-rate multiplier: stored weights are scaled by it when used.
        bias: the first value of every bias.
        active: leaky ReLU, and its gain, at the end.
    """

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, bias: float = 0.0, active: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.active = active
        self.bias_gain = rate * (GAIN if active else 1.0)
        self.weight_gain = self.bias_gain / inputs**0.5

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)
        return activated(y) if self.active else y


def dense(widths: Sequence[int], rate: float = 1.0) -> nn.Sequential:
    """(B, widths[0]) -> (B, widths[-1]): layers that all end in leaky ReLU."""
    return nn.Sequential(*(EqualisedLinear(i, o, rate, active=True) for i, o in pairwise(widths)))


class EqualisedConv2d(nn.Module):
    """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride), followed by leaky ReLU with its gain unless `linear`.

    Args:
        padding: None keeps the size of the map.
        linear: neither bias nor activation.
        gain: of the output.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        padding: int | None = None,
        linear: bool = False,
        gain: float = 1.0,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = None if linear else nn.Parameter(torch.zeros(outputs))
        self.stride, self.padding = stride, kernel // 2 if padding is None else padding
        self.bias_gain = gain * (1.0 if linear else GAIN)
        self.weight_gain = self.bias_gain / (inputs * kernel**2) ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias * self.bias_gain
        y = F.conv2d(x, self.weight * self.weight_gain, bias, self.stride, self.padding)
        return y if bias is None else activated(y)
