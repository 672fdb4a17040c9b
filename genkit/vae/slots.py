"""What else the training of a variational autoencoder may have in its loss."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from genkit.core.pretrained import Configured
from genkit.vae.bound import Inferred
from genkit.vae.vae import VAE


class Divergence(Configured, ABC):
    """How the divergences of the levels add up. Before beta is 1 it may be of the whole batch, after that it is not."""

    @abstractmethod
    def check(self, vae: VAE) -> None:
        """Raises RecipeError where `vae` does not have what is needed."""

    @abstractmethod
    def __call__(self, found: Inferred, beta: float) -> Tensor:
        """The divergence of each image, (B,) in nats; `beta` itself is not in it."""


class Regularisation(Configured, nn.Module, ABC):
    """A term of the network's weights alone. What it keeps from step to step are buffers."""

    @abstractmethod
    def setup(self, network: nn.Module) -> None:
        """Called once, by the training: makes what must fit `network`."""

    @abstractmethod
    def iterate(self, network: nn.Module) -> None:
        """Called before each step, when all is frozen: moves what it keeps."""

    @abstractmethod
    def forward(self, network: nn.Module, beta: float) -> Tensor:
        """A scalar with a graph, a function of weights and buffers; `beta` is how far the warm-up is."""
