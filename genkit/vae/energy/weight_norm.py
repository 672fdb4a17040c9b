"""Convolutions whose weights are a direction and a norm, started from data (Salimans & Kingma 2016, arXiv:1602.07868).

With the constants of NVAE's code (Vahdat & Kautz 2020), which VAEBM's energies share.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SPREAD = 5
"""Divisor in `start`: outputs get the standard deviation 1 / SPREAD."""


class WeightNormConv2d(nn.Module):
    """(B, inputs, H, W) -> (B, outputs, H, W), with the weight exp(log_norm) v / (|v| + 1e-5) of each output.

    Args:
        pooled: see `convolved`.

    Attributes:
        v: (outputs, inputs, kernel, kernel).
        log_norm: (outputs, 1, 1, 1).
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True, pooled: bool = False):
        super().__init__()
        self.pooled = pooled
        plain = nn.Conv2d(inputs, outputs, kernel, bias=bias)
        self.v, self.bias = plain.weight, plain.bias
        self.log_norm = nn.Parameter((_norm(self.v.detach()) + 1e-2).log())

    @property
    def weight(self) -> Tensor:
        """(outputs, inputs, kernel, kernel), with a graph."""
        return self.log_norm.exp() * self._direction()

    def _direction(self) -> Tensor:
        return self.v / (_norm(self.v) + 1e-5)

    def forward(self, x: Tensor) -> Tensor:
        return convolved(x, self.weight, self.bias, self.pooled)

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Sets norms and biases so that the outputs for x have mean 0 and standard deviation 1 / SPREAD."""
        out = convolved(x, self._direction(), None)
        scale = SPREAD * out.std((0, 2, 3)) + 1e-5
        self.log_norm.copy_(-scale.log().view_as(self.log_norm))
        if self.bias is not None:
            self.bias.copy_(-out.mean((0, 2, 3)) / scale)


class PlainConv2d(nn.Conv2d):
    """torch's, of size-keeping kernels, which may be `pooled` as those of `WeightNormConv2d`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True, pooled: bool = False):
        super().__init__(inputs, outputs, kernel, bias=bias)
        self.pooled = pooled

    def forward(self, x: Tensor) -> Tensor:
        return convolved(x, self.weight, self.bias, self.pooled)


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None, pooled: bool = False) -> Tensor:
    """The convolution of x (B, inputs, H, W) with 1x1 or 3x3 weights that keeps its size.

    Args:
        pooled: means over 2x2 of that instead, (B, outputs, H // 2, W // 2). Sums commute: it is one convolution of
            4x4 weights with stride 2, which costs less than half.
    """
    kernel = weight.shape[2]
    if not pooled:
        return F.conv2d(x, weight, bias, padding=kernel // 2)
    if kernel == 1:
        return F.conv2d(F.avg_pool2d(x, 2), weight, bias)
    shifted = (F.pad(weight, (i, 1 - i, j, 1 - j)) for i in (0, 1) for j in (0, 1))
    return F.conv2d(x, sum(shifted, weight.new_zeros(())) / 4, bias, stride=2, padding=1)


def _norm(v: Tensor) -> Tensor:
    return v.square().sum((1, 2, 3), keepdim=True).sqrt()
