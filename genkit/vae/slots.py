"""The exchangeable parts of a VAE's loss: divergences and regularisation."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from genkit.core.pretrained import Configured
from genkit.vae.bound import Inferred
from genkit.vae.vae import VAE


class Divergence(Configured, ABC):
    """A rule for the sum of the levels' divergences. It may depend on the whole batch only while beta is below 1."""

    @abstractmethod
    def check(self, vae: VAE) -> None:
        """Raises RecipeError if `vae` lacks something that the rule needs."""

    @abstractmethod
    def __call__(self, found: Inferred, beta: float) -> Tensor:
        """The divergence of each image, (B,) in nats; `beta` itself is not in it."""


class Regularisation(Configured, nn.Module, ABC):
    """A term of the network's weights alone. Its state from step to step is in buffers."""

    @abstractmethod
    def setup(self, network: nn.Module) -> None:
        """Called once, by the training: makes the buffers that must fit `network`."""

    @abstractmethod
    def iterate(self, network: nn.Module) -> None:
        """Called before each step, with all networks frozen: updates its buffers."""

    @abstractmethod
    def forward(self, network: nn.Module, beta: float) -> Tensor:
        """A scalar with a graph, a function of weights and buffers; `beta` is the share of the warm-up done."""
