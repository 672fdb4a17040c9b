"""Fully connected networks for points, as in the toy experiments of Gulrajani et al. 2017."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from genkit.networks.critic import Critic
from genkit.networks.latent import LatentNetwork
from genkit.networks.layers.arguments import Classes, Depth, Dims, LatentDim, Width
from genkit.networks.layers.spectral import spectrally_normalise


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
    """

    def __init__(
        self, latent_dim: LatentDim, dims: Dims = 2, width: Width = 128, depth: Depth = 3, classes: Classes = 0
    ):
        super().__init__(latent_dim, (dims,), classes)
        self.hidden = _hidden_layers(self.input_dim, width, depth)
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
    """

    def __init__(
        self,
        dims: Dims = 2,
        width: Width = 128,
        depth: Depth = 3,
        classes: Classes = 0,
        spectral_norm: bool = False,
    ):
        super().__init__((dims,), width, classes)
        self.hidden = _hidden_layers(dims, width, depth)
        if spectral_norm:
            spectrally_normalise(self)

    def features(self, x: Tensor) -> Tensor:
        return self.hidden(x)


def _hidden_layers(inputs: int, width: int, depth: int) -> nn.Sequential:
    widths = [inputs] + [width] * depth
    return nn.Sequential(*(layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())))
