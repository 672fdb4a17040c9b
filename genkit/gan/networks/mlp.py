"""Fully connected networks for points, as in the toy experiments of Gulrajani et al. 2017."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.gan.networks.critic import Critic
from genkit.gan.networks.latent import LatentNetwork
from genkit.layers.arguments import Classes, Depth, Dims, LatentDim, Width
from genkit.layers.norm import spectrally_normalise

Gain = Annotated[float, Field(gt=0, le=100)]


class MLPGenerator(LatentNetwork):
    """z -> points, unbounded.

    Weights start as PyTorch's linear layers do, uniform within 1/sqrt(inputs): random biases spread the kinks of the
    ReLUs over the plane, where zero biases would put them all through the origin.

    Args:
        latent_dim: width of z.
        dims: coordinates of a point.
        width: units of a hidden layer.
        depth: number of hidden layers.
        classes: 0 is unconditional.
        gain: hidden layers' weights start this many times as large. At 1 the signal fades by sqrt(6) a layer, with
            2.45 not at all (He et al. 2015): a deep network starts steep.
    """

    def __init__(
        self,
        latent_dim: LatentDim,
        dims: Dims = 2,
        width: Width = 128,
        depth: Depth = 3,
        classes: Classes = 0,
        gain: Gain = 1.0,
    ):
        super().__init__(latent_dim, (dims,), classes)
        self.hidden = _hidden_layers(self.input_dim, width, depth, gain)
        self.out = nn.Linear(width, dims)

    def decode(self, z: Tensor) -> Tensor:
        return self.out(self.hidden(z))


class MLPCritic(Critic):
    """Points -> scores; initialised as MLPGenerator, the head by Xavier.

    Args:
        dims: coordinates of a point.
        width: units of a hidden layer, and of the features.
        depth: number of hidden layers.
        classes: 0 is unconditional.
        spectral_norm: divide every weight by its largest singular value.
        gain: see MLPGenerator.
    """

    def __init__(
        self,
        dims: Dims = 2,
        width: Width = 128,
        depth: Depth = 3,
        classes: Classes = 0,
        spectral_norm: bool = False,
        gain: Gain = 1.0,
    ):
        super().__init__((dims,), width, classes)
        self.hidden = _hidden_layers(dims, width, depth, gain)
        if spectral_norm:
            spectrally_normalise(self)

    def features(self, x: Tensor) -> Tensor:
        return self.hidden(x)


def _hidden_layers(inputs: int, width: int, depth: int, gain: float) -> nn.Sequential:
    widths = [inputs] + [width] * depth
    linear = [nn.Linear(a, b) for a, b in pairwise(widths)]
    with torch.no_grad():
        for layer in linear:
            layer.weight.mul_(gain)
    return nn.Sequential(*(module for layer in linear for module in (layer, nn.ReLU())))
