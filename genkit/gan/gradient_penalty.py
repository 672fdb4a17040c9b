"""Penalties on the critic's gradient with respect to its input."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import relu

from genkit.core.condition import Condition
from genkit.core.errors import RecipeError
from genkit.core.input_gradient import input_gradient
from genkit.core.system import mixing_layer
from genkit.gan.slots import Pair, StepInterval, Term, Turn


def score_gradient(gan: Pair, x: Tensor, y: Condition) -> Tensor:
    """d score_i / d x_i for every sample, flattened to (B, D), with a graph."""
    return input_gradient(partial(gan.score, y=y), x, create_graph=True).flatten(1)


class InputGradientPenalty(Term):
    """A penalty on every sample's own gradient, defined only for a critic that keeps samples apart."""

    differentiates_twice = True

    def check(self, gan: Pair) -> None:
        if layer := mixing_layer(gan.critic):
            advice = "set the critic's norm to layer or none" if layer == "batch norm" else "use a critic without it"
            raise RecipeError(
                f"{self.name}: the critic's {layer} mixes samples, so no sample has a gradient of its own; {advice}"
            )


class GradientPenalty(InputGradientPenalty):
    """weight * E (|grad f(x_hat)| - 1)^2, x_hat = u x + (1 - u) G(z). Gulrajani et al. 2017, arXiv:1704.00028, Eq. (3).

    Args:
        weight: 10 in the paper.
        sides: 'two' pulls the norm to the target; 'one' only down to it (Petzka et al. 2018, arXiv:1709.08894).
        target: of the norm, 1 in the paper; the excess over it is divided by it, as in TransGAN's code,
            where it is `phi`.
        every: critic steps from one in which it counts to the next, see `Term`.
    """

    name = "gradient_penalty"

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0)] = 10.0,
        sides: Literal["one", "two"] = "two",
        target: Annotated[float, Field(gt=0)] = 1.0,
        every: StepInterval = 1,
    ):
        super().__init__(every)
        self.weight, self.sides, self.target = weight, sides, target

    def forward(self, turn: Turn) -> Tensor:
        assert turn.u is not None
        u = turn.u.view(-1, *[1] * (turn.x.dim() - 1))
        x_hat = u * turn.x + (1 - u) * turn.fake.x.detach()
        excess = score_gradient(turn.gan, x_hat, turn.y).norm(dim=1) / self.target - 1
        return self.weight * (relu(excess) if self.sides == "one" else excess).square().mean()


class R1(InputGradientPenalty):
    """weight / 2 * E_real |grad f(x)|^2. Mescheder et al. 2018, arXiv:1801.04406, Eq. (9).

    Of a critic that mixes samples (minibatch deviation) it is the gradient of the batch's summed scores, in which a
    sample's part in the scores of others counts too, as in all code of StyleGAN2. A batch norm is refused.

    Args:
        weight: 10 in the paper.
        every: critic steps from one in which it counts to the next, 16 in Karras et al. 2020; see `Term`.
    """

    name = "r1"

    def __init__(self, weight: Annotated[float, Field(ge=0)] = 10.0, every: StepInterval = 1):
        super().__init__(every)
        self.weight = weight

    def check(self, gan: Pair) -> None:
        if mixing_layer(gan.critic) == "batch norm":
            super().check(gan)

    def forward(self, turn: Turn) -> Tensor:
        return self.weight / 2 * score_gradient(turn.gan, turn.x, turn.y).square().sum(1).mean()
