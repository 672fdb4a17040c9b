"""A technique of one's own."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from genkit.gan.slots import Term, Turn


class ModeSeeking(Term):
    """weight / mean(|G(z) - G(z')| / |z - z'|) over neighbours of a batch: other latents are to make other samples.

    Mao et al. 2019, arXiv:1903.05628, Sec. 3.2; in the form of the authors' code, which descends the inverse.

    Args:
        weight: 1 in the paper.
    """

    name = "mode_seeking"
    of: ClassVar = "generator"
    coupled = True

    def __init__(self, weight: Annotated[float, Field(ge=0)] = 1.0):
        super().__init__()
        self.weight = weight

    def forward(self, turn: Turn) -> Tensor:
        x, z = turn.fake.x, turn.z
        apart, asked = ((rows - rows.roll(1, 0)).abs().flatten(1).mean(1) for rows in (x, z))
        return self.weight / ((apart / asked).mean() + 1e-5)
