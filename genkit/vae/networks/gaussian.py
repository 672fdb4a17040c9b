"""Diagonal Gaussians over latents, and the layer that says one."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor, nn

from genkit.vae.networks.gated import he_linear

LOG_2PI = math.log(2 * math.pi)


def soft_clamp(a: Tensor) -> Tensor:
    """a in (-5, 5), near 0 as it is: 5 tanh(a / 5). Vahdat & Kautz 2020."""
    return 5 * (a / 5).tanh()


class Gaussian(NamedTuple):
    """N(mean, exp(log_variance)), independent in every dimension; a tree of tensors.

    Attributes:
        mean, log_variance: (B, D).
    """

    mean: Tensor
    log_variance: Tensor

    def at(self, noise: Tensor) -> Tensor:
        """The sample that standard normal `noise`, (B, D) or (S, B, D), stands for."""
        return self.mean + (self.log_variance / 2).exp() * noise

    def log_density(self, z: Tensor) -> Tensor:
        """(..., B, D) -> log N(z) (..., B) in nats."""
        squares = (z - self.mean).square() * (-self.log_variance).exp()
        return -0.5 * (self.log_variance + LOG_2PI + squares).sum(-1)


class GaussianHead(nn.Module):
    """(B, inputs) -> Gaussian over `outputs` dimensions, log-variance cut to [-6, 2]."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.mean, self.log_variance = he_linear(inputs, outputs), he_linear(inputs, outputs)

    def forward(self, h: Tensor) -> Gaussian:
        return Gaussian(self.mean(h), self.log_variance(h).clamp(-6, 2))
