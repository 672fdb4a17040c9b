"""Penalties on the critic's gradient with respect to what it is shown."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import relu
from torch.nn.modules.batchnorm import _BatchNorm

from genkit.core.condition import Condition
from genkit.core.errors import RecipeError
from genkit.core.input_gradient import input_gradient
from genkit.gan.slots import Judged, Pair, Penalty


def score_gradient(gan: Pair, x: Tensor, y: Condition) -> Tensor:
    """d score_i / d x_i for every sample, flattened to (B, D), with a graph."""
    return input_gradient(partial(gan.score, y=y), x, create_graph=True).flatten(1)


class InputGradientPenalty(Penalty):
    """A penalty on every sample's own gradient, which a critic that mixes samples does not have."""

    differentiates_twice = True

    def check(self, gan: Pair) -> None:
        if any(isinstance(module, _BatchNorm) for module in gan.critic.modules()):
            raise RecipeError(
                f"{self.name}: the critic's batch norm mixes samples, so no sample has a gradient of its own; set the "
                "critic's norm to layer or none"
            )


class GradientPenalty(InputGradientPenalty):
    """weight * E (|grad f(x_hat)| - 1)^2, x_hat = u x + (1 - u) G(z). Gulrajani et al. 2017, arXiv:1704.00028, Eq. (3).

    Args:
        weight: 10 in the paper.
        sides: 'two' pulls the norm to one; 'one' only down to it (Petzka et al. 2018, arXiv:1709.08894).
    """

    name = "gradient_penalty"

    def __init__(self, weight: Annotated[float, Field(ge=0)] = 10.0, sides: Literal["one", "two"] = "two"):
        super().__init__()
        self.weight, self.sides = weight, sides

    def forward(self, gan: Pair, real: Judged, fake: Judged, u: Tensor) -> Tensor:
        u = u.view(-1, *[1] * (real.x.dim() - 1))
        x_hat = u * real.x + (1 - u) * fake.x.detach()
        excess = score_gradient(gan, x_hat, real.y).norm(dim=1) - 1
        return self.weight * (relu(excess) if self.sides == "one" else excess).square().mean()


class R1(InputGradientPenalty):
    """weight / 2 * E_real |grad f(x)|^2. Mescheder et al. 2018, arXiv:1801.04406, Eq. (9)."""

    name = "r1"

    def __init__(self, weight: Annotated[float, Field(ge=0)] = 10.0):
        super().__init__()
        self.weight = weight

    def forward(self, gan: Pair, real: Judged, fake: Judged, u: Tensor) -> Tensor:
        return self.weight / 2 * score_gradient(gan, real.x, real.y).square().sum(1).mean()
