"""Diagonal Gaussians over latents, and the layer that makes one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from genkit.vae.networks.gated import he_linear

LOG_2PI = math.log(2 * math.pi)


def soft_clamp(a: Tensor) -> Tensor:
    """a squashed into (-5, 5), almost unchanged near 0: 5 tanh(a / 5). Vahdat & Kautz 2020."""
    return 5 * (a / 5).tanh()


class Gaussian(NamedTuple):
    """N(mean, exp(log_variance)), independent in every dimension; a tree of tensors.

    Attributes:
        mean, log_variance: (B, D).
    """

    mean: Tensor
    log_variance: Tensor

    def at(self, noise: Tensor) -> Tensor:
        """The sample made from standard normal `noise`, (B, D) or (S, B, D)."""
        return self.mean + (self.log_variance / 2).exp() * noise

    def drawn(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """`at(noise)`, and its log-density (..., B) in nats."""
        z = self.at(noise)
        return z, self.log_density(z)

    def divergence(self, other: Gaussian) -> Tensor:
        """Kullback-Leibler divergence from `other`, (B,) in nats."""
        squares = (self.mean - other.mean).square() + self.log_variance.exp()
        terms = other.log_variance - self.log_variance + squares * (-other.log_variance).exp() - 1
        return 0.5 * terms.sum(-1)

    def log_density(self, z: Tensor) -> Tensor:
        """(..., B, D) -> log N(z) (..., B) in nats."""
        squares = (z - self.mean).square() * (-self.log_variance).exp()
        return -0.5 * (self.log_variance + LOG_2PI + squares).sum(-1)


class Flowed(NamedTuple):
    """A Gaussian whose samples go through volume-preserving flows; its density is known only of drawn samples.

    Attributes:
        base: before the flows.
        flow: maps (B, *shape) -> the same.
        shape: (C, H, W) of the maps that a row of D = C H W numbers is laid out from.
    """

    base: Gaussian
    flow: Callable[[Tensor], Tensor]
    shape: tuple[int, ...]

    def drawn(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The sample made from standard normal `noise` (B, D), and its log-density (B,) in nats."""
        z, log_density = self.base.drawn(noise)
        return self.flow(z.unflatten(1, self.shape)).flatten(1), log_density


class GaussianHead(nn.Module):
    """(B, inputs) -> Gaussian over `outputs` dimensions, log-variance cut to [-6, 2]."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.mean, self.log_variance = he_linear(inputs, outputs), he_linear(inputs, outputs)

    def forward(self, h: Tensor) -> Gaussian:
        return Gaussian(self.mean(h), self.log_variance(h).clamp(-6, 2))
