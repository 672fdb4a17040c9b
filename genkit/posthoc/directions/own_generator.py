"""A generator of the user's own, by two methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from genkit.core.errors import GenkitError
from genkit.core.generator import LatentGenerator
from genkit.core.randomness import Randomness


class TwoMethods(Protocol):
    """All that directions need of a generator."""

    def sample_latents(self, n: int, rng: torch.Generator) -> Tensor:
        """n latents (n, D) by a CPU generator."""
        ...

    def generate(self, latents: Tensor, condition: Mapping[str, Tensor] | None = None) -> Tensor:
        """Images (n, C, H, W) around [-1, 1], with a graph to the latents."""
        ...


class OwnGenerator(LatentGenerator):
    """A `LatentGenerator` of any object with `sample_latents` and `generate`. It is not saved: it has no name.

    Args:
        made: the object; where it is a torch module its weights are those of this one.

    Raises:
        GenkitError: latents or images of another shape.
    """

    own: TwoMethods

    def __init__(self, made: TwoMethods):
        super().__init__()
        if isinstance(made, nn.Module):
            self.module = made
        self.__dict__["own"] = made
        z = made.sample_latents(2, torch.Generator().manual_seed(0))
        with torch.no_grad():
            x = made.generate(z.to(self.device))
        if z.dim() != 2 or x.dim() != 4 or len(x) != len(z):
            raise GenkitError(
                f"sample_latents gives (n, D) and generate (n, C, H, W); got {list(z.shape)} and {list(x.shape)}"
            )
        self.sample_shape = tuple(x.shape[1:])

    def latents(self, randomness: Randomness) -> Tensor:
        return randomness.draw(self.own.sample_latents)

    def forward(self, z: Any, condition: Mapping[str, Tensor] | None = None) -> Tensor:
        return self.own.generate(z, condition)
