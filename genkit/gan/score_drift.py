"""A weak pull of the critic's scores of real samples towards zero: a Wasserstein objective leaves their offset free."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from genkit.core.processes import whole_batch
from genkit.gan.slots import StepInterval, Term, Turn


class ScoreDrift(Term):
    """weight * (E_real f)^2, as TransGAN's code has it; Karras et al. 2018, arXiv:1710.10196, sec. A.1, squares inside.

    Args:
        weight: 1e-3 in both.
        every: critic steps from one in which it counts to the next, see `Term`.
    """

    name = "score_drift"
    coupled = True

    def __init__(self, weight: Annotated[float, Field(ge=0)] = 1e-3, every: StepInterval = 1):
        super().__init__(every)
        self.weight = weight

    def forward(self, turn: Turn) -> Tensor:
        score = turn.real.score
        everyone = whole_batch(score).mean()
        # Averaged over processes, value and gradient are those of the square of everyone's mean.
        return self.weight * everyone * (2 * score.mean() - everyone)
