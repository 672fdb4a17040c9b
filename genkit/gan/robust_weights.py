"""Robust optimal transport in the critic's loss: samples that the other side cannot match lose weight.

Balaji et al. 2020, arXiv:2010.05862, Sec. 4: min over weights in a chi-square ball, max over critics. Samples that the
generator finds hard lose weight; these need not be the foreign ones: among clothes, uniform noise is found; digits,
which are easy, are not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import softplus

from genkit.core.chi_square import PENALTY, ball_penalty, closed_form, normalised, radius
from genkit.core.condition import Condition
from genkit.core.errors import RecipeError
from genkit.core.precision import full
from genkit.core.processes import my_rows, whole_batch, whole_batch_with_graph
from genkit.core.system import Terms, Turns, Update, descend, observe
from genkit.gan.networks.critic import Critic
from genkit.gan.objectives import NonSaturating, Objective
from genkit.gan.slots import Judged, LossSide, Pair, StepInterval, Weighting, of_side
from genkit.gan.softmax_weighting import effective_sample_size
from genkit.layers.norm import untracked

DEAD = 1e-3
"""Weights that differ by less count as all one: the run is then training without weights."""

FirstStep = Annotated[int, Field(ge=0)]


class BallWeighting(Weighting):
    """Weights in a chi-square ball, all one before the critic's step `start`.

    Outliers that are simpler than the data get low scores at first and would be favoured: start late.
    """

    coupled = True
    updates: Tensor

    def __init__(self, outlier_share: float | None, rho: float | None, start: int):
        super().__init__()
        self.rho, self.start = radius(outlier_share, rho), start
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self, judged: Judged, side: LossSide = "real") -> Tensor:
        weights = self.weights(judged, side).detach()
        return torch.where(self.updates > 0, weights, torch.ones_like(weights))

    def weights(self, judged: Judged, side: LossSide) -> Tensor:
        raise NotImplementedError

    def observe(self, weights: Tensor, side: LossSide = "real") -> Terms:
        """`robust_dead` is 1 while all weights are equal after their start."""
        with torch.no_grad():
            everyone = whole_batch(weights)
            spread = everyone.max() - everyone.min()
            dead = ((spread < DEAD) & (self.updates > 0)).float()
            size = effective_sample_size(weights)
        at = "robust" if side == "real" else "robust_fake"
        return observe(**{f"{at}_spread": spread, f"{at}_dead": dead, f"{at}_effective_sample_size": size})


class ClosedFormWeights(BallWeighting):
    """The best weights of each batch, from the critic's scores: no network, nothing to tune, nothing that can die.

    Balaji et al. 2020, arXiv:2010.05862, solve the same programme for the whole training set by a cone solver.

    Args:
        outlier_share: up to this share of the data may be junk; 0 to below 0.5.
        rho: or the radius itself, share / (2 (1 - share)).
        start: critic steps before the weights begin.
    """

    def __init__(self, outlier_share: float | None = None, rho: float | None = None, start: FirstStep = 0):
        super().__init__(outlier_share, rho, start)

    def weights(self, judged: Judged, side: LossSide) -> Tensor:
        score = full(whole_batch(judged.score))
        return my_rows(closed_form(score if side == "real" else -score, self.rho))

    def turns(self, gan: Pair, on: dict[str, Any], step: int, side: LossSide = "real") -> Turns:
        if step >= self.start:
            self.updates += 1
        yield from ()


class RobustWeights(BallWeighting):
    """A weight network W against the critic. Balaji et al. 2020, arXiv:2010.05862, Sec. 4.

    W descends minus the critic's terms plus 100 max(0, mean (w - 1)^2 / 2 - rho), before the critic steps on the same
    samples with the new weights. Raw weights are softplus of the network, which always has a gradient: the authors'
    ReLU starts dead in a third of the seeds and the run is then a plain GAN, which the term `robust_dead` would show.

    Args:
        network: samples to a real number each; its learner is `weights`, on the fake side `fake_weights`.
        outlier_share: up to this share of the data may be junk; 0 to below 0.5.
        rho: or the radius itself, share / (2 (1 - share)).
        every: critic steps from one update of W to the next.
        start: critic steps before W begins.
        penalty: factor of the excess over the ball's radius.
    """

    learners = {"weights": ("network",)}  # noqa: RUF012 - a ClassVar of the base

    def __init__(
        self,
        network: Critic,
        outlier_share: float | None = None,
        rho: float | None = None,
        every: StepInterval = 1,
        start: FirstStep = 0,
        penalty: Annotated[float, Field(ge=0)] = PENALTY,
    ):
        super().__init__(outlier_share, rho, start)
        self.network, self.every, self.penalty = network, every, penalty

    def check(self, gan: Pair, side: LossSide = "real") -> None:
        made, judged = gan.generator.sample_shape, getattr(self.network, "sample_shape", gan.generator.sample_shape)
        if tuple(made) != tuple(judged):
            raise RecipeError(f"robust weights: the network judges {list(judged)}, samples are {list(made)}")
        if getattr(self.network, "classes", 0):
            raise RecipeError("robust weights: the network is shown no labels; set its classes to 0")

    def raw(self, x: Tensor) -> Tensor:
        """Weights (B,) before they are normalised, not negative."""
        return softplus(full(self.network(x)))

    def weights(self, judged: Judged, side: LossSide) -> Tensor:
        return my_rows(normalised(whole_batch(self.raw(judged.x))))

    def turns(self, gan: Pair, on: dict[str, Any], step: int, side: LossSide = "real") -> Turns:
        if step < self.start or step % self.every:
            return
        given = {"x": on["x"] if side == "real" else self.fakes(gan, on), "y": on["y"]}
        yield Update(of_side("weights", side), partial(self.loss, gan, side=side), given, coupled=True)
        self.updates += 1

    def fakes(self, gan: Pair, on: dict[str, Any]) -> Tensor:
        with torch.no_grad(), untracked(gan.generator):
            return gan.generator(on["z"], on["y"])

    def loss(self, gan: Pair, x: Tensor, y: Condition, side: LossSide = "real") -> Terms:
        score = whole_batch(gan.score(x, y))
        weights = normalised(whole_batch_with_graph(self.raw(x)))
        fit = self.fit(gan.objective, score, weights, side)
        return descend(fit=fit, ball=ball_penalty(weights, self.rho, self.penalty))

    def fit(self, objective: Objective, score: Tensor, weights: Tensor, side: LossSide = "real") -> Tensor:
        """Minus the critic's loss on this side."""
        return -self.weighted(objective.critic_real if side == "real" else objective.critic_fake, score, weights)


def weight_fit(objective: Objective, score: Tensor, weights: Tensor) -> Tensor:
    """The authors' data term of W: minus the critic's term of w s, but softplus(w s) for the non-saturating loss."""
    inside = weights * score
    return (softplus(inside) if isinstance(objective, NonSaturating) else -objective.critic_real(inside)).mean()


class OfficialRobustWeights(RobustWeights):
    """The authors' form, for parity: ReLU at the end of W, and the weight inside the critic's non-linearity.

    relu(1 - w s) is no weighted loss: a weight of zero makes the term a constant. Equal for a Wasserstein critic.

    Args:
        network, outlier_share, rho, every, start, penalty: as of `robust_weights`.
        relu: as beside their DCGAN and SNDCGAN critics. Beside their ResNet critics W ends without it: weights may be
            negative then, and their sum, by which they are divided, may come near zero.
    """

    def __init__(
        self,
        network: Critic,
        outlier_share: float | None = None,
        rho: float | None = None,
        every: StepInterval = 1,
        start: FirstStep = 0,
        penalty: Annotated[float, Field(ge=0)] = PENALTY,
        relu: bool = True,
    ):
        super().__init__(network, outlier_share, rho, every, start, penalty)
        self.relu = relu

    def raw(self, x: Tensor) -> Tensor:
        """Weights (B,) before they are normalised."""
        answer = full(self.network(x))
        return answer.relu() if self.relu else answer

    def weighted(self, term: Callable[[Tensor], Tensor], score: Tensor, weights: Tensor) -> Tensor:
        return term(weights * score).mean()

    def fit(self, objective: Objective, score: Tensor, weights: Tensor, side: LossSide = "real") -> Tensor:
        return weight_fit(objective, score, weights)

    def check(self, gan: Pair, side: LossSide = "real") -> None:
        super().check(gan, side)
        if side == "fake":
            raise RecipeError("official_robust_weights: the authors weigh real samples only; use robust_weights")
