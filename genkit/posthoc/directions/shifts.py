"""Strengths of shifts, as they are drawn in training. Voynov & Babenko 2020, arXiv:2002.03754, Sec. 3.2."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from genkit.core.pretrained import Configured
from genkit.core.randomness import Randomness

LargestShift = Annotated[float, Field(gt=0, le=1000)]


class NumberedShifts(NamedTuple):
    """HowMany of directions and their strengths, one a row.

    Attributes:
        target: (n,) int64.
        eps: (n,) in units of the latent's deviation.
    """

    target: Tensor
    eps: Tensor


class Shifts(Configured):
    """k uniform among the directions, eps = scale U(-1, 1) or scale N(0, 1), and |eps| at least `least`.

    Smaller ones are moved to the least, not drawn again, so that there is an atom at both ends. Strengths are in units
    of the latent's standard deviation: 6 is the paper's for z ~ N(0, I) of 128 numbers.

    Args:
        scale: largest strength, or the deviation of normal ones.
        least: smallest.
        kind: of the strengths' distribution.
    """

    def __init__(
        self,
        scale: LargestShift = 6.0,
        least: Annotated[float, Field(ge=0, le=1000)] = 0.5,
        kind: Literal["uniform", "normal"] = "uniform",
    ):
        self.scale, self.least, self.kind = scale, least, kind

    def draw(self, randomness: Randomness, directions: int) -> NumberedShifts:
        eps = randomness.normal() if self.kind == "normal" else 2 * randomness.uniform() - 1
        return NumberedShifts(randomness.integers(directions), pushed(self.scale * eps, self.least))


def usual(dim: int) -> Shifts:
    """Shifts up to half the length of a latent N(0, I) of so many numbers, and of 6 at most; the least is a twelfth.

    These are the paper's 6 and 0.5 where the latent has 144 numbers or more.
    """
    scale = min(6.0, round(dim**0.5 / 2, 2))
    return Shifts(scale, round(scale / 12, 3))


def pushed(eps: Tensor, least: float) -> Tensor:
    """Strengths (n,) with those nearer to zero than `least` at it, on their side; zero stays, as with the authors."""
    return torch.where(eps.abs() < least, eps.sign() * least, eps)
