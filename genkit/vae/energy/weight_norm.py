"""Convolutions whose weights are a direction and a norm, started from data (Salimans & Kingma 2016, arXiv:1602.07868).

With the constants of NVAE's code (Vahdat & Kautz 2020), which VAEBM's energies share.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SPREAD = 5
"""What `start` divides by: outputs get the standard deviation 1 / SPREAD."""


class WeightNormConv2d(nn.Module):
    """(B, inputs, H, W) -> (B, outputs, H, W), with the weight exp(log_norm) v / (|v| + 1e-5) of each output.

    Attributes:
        v: (outputs, inputs, kernel, kernel).
        log_norm: (outputs, 1, 1, 1).
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True):
        super().__init__()
        plain = nn.Conv2d(inputs, outputs, kernel, bias=bias)
        self.v, self.bias, self.padding = plain.weight, plain.bias, kernel // 2
        self.log_norm = nn.Parameter((_norm(self.v.detach()) + 1e-2).log())

    @property
    def weight(self) -> Tensor:
        """(outputs, inputs, kernel, kernel), with a graph."""
        return self.log_norm.exp() * self._direction()

    def _direction(self) -> Tensor:
        return self.v / (_norm(self.v) + 1e-5)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, padding=self.padding)

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Sets norms and biases so that the outputs for x have mean 0 and standard deviation 1 / SPREAD."""
        out = F.conv2d(x, self._direction(), padding=self.padding)
        scale = SPREAD * out.std((0, 2, 3)) + 1e-5
        self.log_norm.copy_(-scale.log().view_as(self.log_norm))
        if self.bias is not None:
            self.bias.copy_(-out.mean((0, 2, 3)) / scale)


def _norm(v: Tensor) -> Tensor:
    return v.square().sum((1, 2, 3), keepdim=True).sqrt()
