"""An exact generator: four factors of a soft box, of a latent that is turned so that no coordinate is one of them."""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.posthoc.directions.own_generator import OwnGenerator

FACTORS = ("down", "across", "size", "brightness")


class SoftBox:
    """x = box(Q z), of the first four numbers of Q z; the others change nothing."""

    def __init__(self, dim: int = 8, side: int = 32):
        self.turn = torch.linalg.qr(torch.randn(dim, dim, generator=torch.Generator().manual_seed(5))).Q
        self.dim, self.side = dim, side

    def sample_latents(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, self.dim, generator=rng)

    def generate(self, latents: Tensor, condition: object = None) -> Tensor:
        f = (latents @ self.turn.T)[:, :4].mul(0.5).tanh()
        line = torch.linspace(-1, 1, self.side)
        size = 0.4 + 0.15 * f[:, 2]
        rows, columns = (((size[:, None] - (line - 0.4 * f[:, k, None]).abs()) / 0.08).sigmoid() for k in (0, 1))
        light = 0.7 + 0.3 * f[:, 3]
        return (2 * light[:, None, None] * rows[:, :, None] * columns[:, None] - 1)[:, None]


def renderer() -> tuple[OwnGenerator, Tensor]:
    """The generator, and the directions (4, dim) of its factors."""
    made = SoftBox()
    return OwnGenerator(made), made.turn[:4]
