"""A penalty on the slopes of a deep VAE's networks (Vahdat & Kautz 2020, arXiv:2007.03898, Sec. 3.2)."""

from __future__ import annotations

import math

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from genkit.vae.energy.spectral_penalty import SpectralPenalty
from genkit.vae.energy.weight_norm import WeightNormConv2d
from genkit.vae.slots import Regularisation


class SpectralRegularisation(Regularisation):
    """The largest singular values of all convolutions plus the largest scale of each batch norm, times a weight.

    Args:
        weight: of the sum; where divergences warm up, the value at beta = 1.
        start: the value at beta = 0, from which it moves geometrically; None keeps `weight`.
    """

    penalty: SpectralPenalty

    def __init__(self, weight: PositiveFloat = 0.1, start: PositiveFloat | None = None):
        super().__init__()
        self.weight, self.start = weight, start

    def setup(self, network: nn.Module) -> None:
        self.penalty = SpectralPenalty(_weights(network))

    @torch.no_grad()
    def iterate(self, network: nn.Module) -> None:
        self.penalty.iterate(_weights(network))

    def forward(self, network: nn.Module, beta: float) -> Tensor:
        scales = [m.weight.abs().amax() for m in network.modules() if isinstance(m, _BatchNorm) and m.affine]
        return self.at(beta) * sum(scales, self.penalty(_weights(network)))

    def at(self, beta: float) -> float:
        """The weight at the share `beta` of the warm-up."""
        return math.exp((1 - beta) * math.log(self.start or self.weight) + beta * math.log(self.weight))


def _weights(network: nn.Module) -> list[Tensor]:
    return [m.weight for m in network.modules() if isinstance(m, (WeightNormConv2d, nn.Conv2d))]
