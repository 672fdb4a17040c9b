"""The consistency term of CT-GAN: two passes of the real batch through a critic with dropout should agree."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.nn.functional import relu

from genkit.core.errors import RecipeError
from genkit.gan.slots import Pair, StepInterval, Term, Turn


def consistency_loss(
    score1: Tensor,
    features1: Tensor,
    score2: Tensor,
    features2: Tensor,
    weight: float,
    feature_weight: float,
    margin: float,
) -> Tensor:
    """mean max(0, weight (f1 - f2)^2 + feature_weight mean_k (h1 - h2)^2 - margin), scores (B,), features (B, K)."""
    distance = weight * (score1 - score2).square() + feature_weight * (features1 - features2).square().mean(1)
    return relu(distance - margin).mean()


class Consistency(Term):
    """Wei et al. 2018, arXiv:1803.01541, Eq. (4)-(5), as the ratio-clipping authors run it.

    They measure squared distances of scores (weight 2) and pooled features (0.2), with margin 0. The first of the two
    passes is the one that the critic's own term uses.
    """

    name = "consistency"

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0)] = 2.0,
        feature_weight: Annotated[float, Field(ge=0)] = 0.2,
        margin: Annotated[float, Field(ge=0)] = 0.0,
        every: StepInterval = 1,
    ):
        super().__init__(every)
        self.weight, self.feature_weight, self.margin = weight, feature_weight, margin

    def check(self, gan: Pair) -> None:
        if not hasattr(gan.critic, "features"):
            raise RecipeError(f"consistency compares features, and {type(gan.critic).__name__} has none")

    def forward(self, turn: Turn) -> Tensor:
        real, again = turn.real, turn.gan.judge(turn.x, turn.y)
        assert real.features is not None and again.features is not None
        return consistency_loss(
            real.score, real.features, again.score, again.features, self.weight, self.feature_weight, self.margin
        )
