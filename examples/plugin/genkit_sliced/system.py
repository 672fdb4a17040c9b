"""A system of one's own."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from genkit.core.generator import LatentGenerator
from genkit.core.system import Data, System, Terms, Turns, Update, descend


class SlicedWassersteinTraining(System):
    """Deshpande et al. 2018, Eq. (5): the squared distance of sorted projections, averaged over directions.

    Args:
        directions: random directions a step. With several processes each compares its own rows.
    """

    learners: ClassVar = {"generator": ("generator",)}
    generator: LatentGenerator

    def __init__(self, generator: LatentGenerator, directions: Annotated[int, Field(ge=1)] = 128):
        super().__init__()
        self.generator, self.directions = generator, directions

    def iteration(self, data: Data, step: int) -> Turns:
        real = next(data).x
        width = real[0].numel()
        u = data.common(lambda rng: torch.randn(width, self.directions, generator=rng)).to(real.device)
        z = self.generator.latents(data)
        yield Update("generator", self.loss, {"real": real, "z": z}, {"u": u / u.norm(dim=0)}, coupled=True)

    def loss(self, real: Tensor, z: Tensor, u: Tensor) -> Terms:
        x, y = ((rows.flatten(1) @ u).sort(0).values for rows in (real, self.generator(z)))
        return descend(sliced_wasserstein=(x - y).square().mean())
