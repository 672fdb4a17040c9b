"""Pairs whose gradients are known in closed form."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genkit.core.condition import Condition
from genkit.gan.gan import GAN, GANTraining
from genkit.gan.networks.mlp import MLPGenerator
from genkit.gan.slots import Judged, Turn


class Linear(nn.Module):
    """f(x) = w . x + b over any shape."""

    def __init__(self, w: Tensor, b: float = 0.0):
        super().__init__()
        self.w, self.b = nn.Parameter(w), nn.Parameter(torch.tensor(b))
        self.sample_shape = tuple(w.shape)

    def forward(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return (x * self.w).flatten(1).sum(1) + self.b


def linear_game(*w: float, b: float = 0.0) -> GANTraining:
    torch.manual_seed(0)
    return GANTraining(GAN(MLPGenerator(3, len(w), 8, 1)), Linear(torch.tensor(w), b))


def judged(gan: GANTraining, seed: int, n: int = 5) -> Judged:
    x = torch.randn(n, *gan.generator.sample_shape, generator=torch.Generator().manual_seed(seed))
    return gan.judge(x, {})


def turn(gan: GANTraining, real: Judged, fake: Judged, u: Tensor | None = None) -> Turn:
    """A critic's step on samples that were judged already."""
    made = Turn(gan, "critic", real.x, real.y, torch.zeros(len(fake.x), 0), u)
    vars(made).update(real=real, fake=fake)
    return made
