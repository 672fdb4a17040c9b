"""Probability-ratio clipping: several clipped generator steps away from a frozen past self.

Wu et al. 2020, "Improving GAN Training with Probability Ratio Clipping and Sample Reweighting", arXiv:2006.06900.

The paper's M-step maximises E_{p_theta}[f] - KL(p_theta || p_theta_t) and replaces the trust region by PPO's clipped
surrogate of r = p_theta / p_theta_t; the ratio comes from a classifier C of real against fake, whose odds of fake are
proportional to p_theta / p_data. The authors' code differs from PPO in three ways, all of them kept here:

- r compares the odds at two different points: the new image of a latent under the new C, and the old image of the same
  latent under the old C;
- the gradient flows through the score as well as through r;
- for a negative score they take the maximum of the two products where PPO takes the minimum, so that the surrogate is
  score * min(r, 1 + clip) for either sign: the lower bound never acts.

The surrogate is not invariant to the critic's offset, which a Wasserstein objective leaves arbitrary: adding c to the
critic adds c min(r, 1 + clip), so that the generator is pushed to look fake (c > 0) or real (c < 0) to C. In pilots
this diverged; the centred reward did not. `RatioClipping` therefore centres, and `OfficialRatioClipping` is the
authors' form.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import softplus

from genkit.core.condition import Condition
from genkit.core.errors import RecipeError
from genkit.core.precision import full
from genkit.core.processes import whole_batch
from genkit.core.system import Batch, Data, Terms, Turns, Update, descend, observe
from genkit.core.tree import Tree
from genkit.gan.networks.critic import Critic
from genkit.gan.slots import Pair, Rule, Turn
from genkit.layers.norm import untracked

FLOOR = 1e-7


def probability_ratio(logit_new: Tensor, logit_old: Tensor) -> Tensor:
    """r = odds_new / odds_old, odds = (1 - C) / C of being fake, C = sigmoid(logit); (B,), above one: more fake to C.

    The floors of 1e-7 are the authors': on C_old, and on C_new * odds_old.
    """
    c_new, c_old = logit_new.sigmoid(), logit_old.sigmoid()
    odds_old = (1 - c_old) / c_old.clamp(min=FLOOR)
    return (1 - c_new) / (c_new * odds_old).clamp(min=FLOOR)


def clipped_target(ratio: Tensor, reward: Tensor, clip: float) -> Tensor:
    """min(r s, clip(r) s) where s > 0, else max(r s, clip(r) s), clip to [1 - clip, 1 + clip]; (B,)."""
    free, clipped = ratio * reward, ratio.clamp(1 - clip, 1 + clip) * reward
    return torch.where(reward > 0, torch.minimum(free, clipped), torch.maximum(free, clipped))


class RatioClipping(Rule):
    """`steps` times: a step of the classifier, a clipped step of the generator on the latents of the last critic step.

    Args:
        classifier: maps samples to the log-odds (B,) of being real; a network of its own, never reset.
        steps: inner steps, 5 in the paper.
        clip: 0.4 in the authors' code.
    """

    learners = {"classifier": ("classifier",)}  # noqa: RUF012 - a ClassVar of the base

    def __init__(
        self,
        classifier: Critic,
        steps: Annotated[int, Field(ge=1, le=1000)] = 5,
        clip: Annotated[float, Field(gt=0, lt=1)] = 0.4,
    ):
        super().__init__()
        self.classifier, self.steps, self.clip = classifier, steps, clip

    def check(self, gan: Pair) -> None:
        made, judged = gan.generator.sample_shape, getattr(self.classifier, "sample_shape", gan.generator.sample_shape)
        if tuple(made) != tuple(judged):
            raise RecipeError(f"rule.classifier: it judges {list(judged)}, but the generator makes {list(made)}")
        if getattr(self.classifier, "classes", 0):
            raise RecipeError("rule.classifier: it is shown no labels; set its classes to 0")

    def turns(self, gan: Pair, data: Data, real: Batch, z: Tree, step: int) -> Turns:
        y = gan.asked(real)
        with untracked(gan.generator):
            logit_old = self.logit(gan.generator(z, y))
        for i in range(step * self.steps, (step + 1) * self.steps):
            batch = next(data)
            z_new = gan.latents(data, batch.x)
            on = {"x": batch.x, "z": z_new, "y": gan.asked(batch)}
            yield Update("classifier", partial(self.classifier_loss, gan), on)
            on = {"x": real.x, "y": y, "z": z, "logit_old": logit_old}
            yield Update("generator", partial(self.generator_loss, gan), on, {"step": i}, coupled=True)

    def logit(self, x: Tensor) -> Tensor:
        """The classifier's log-odds (B,) float32 that x is real."""
        return full(self.classifier(x))

    def classifier_loss(self, gan: Pair, x: Tensor, z: Tree, y: Condition) -> Terms:
        """Cross-entropy, real and fake as separate batches, so that BatchNorm normalises them separately."""
        real, fake = self.logit(x), self.logit(gan.generator(z, y))
        return descend(real=softplus(-real).mean(), fake=softplus(fake).mean())

    def generator_loss(self, gan: Pair, x: Tensor, y: Condition, z: Tree, logit_old: Tensor, step: int = 0) -> Terms:
        turn = Turn(gan, "generator", x, y, z)
        reward = self.reward(turn)
        ratio = probability_ratio(self.logit(self.classified(turn)), logit_old)
        return self.surrogate(ratio, reward) | gan.added(turn, step)

    def reward(self, turn: Turn) -> Tensor:
        """The reward (B,) less its mean over the whole batch."""
        reward = turn.gan.objective.reward(turn.fake.score)
        return reward - whole_batch(reward).mean()

    def classified(self, turn: Turn) -> Tensor:
        """The fakes in the probability ratio."""
        return turn.fake.x

    def surrogate(self, ratio: Tensor, reward: Tensor) -> Terms:
        outside = ((ratio - 1).abs() > self.clip).float().mean()
        loss = -clipped_target(ratio, reward, self.clip).mean()
        return descend(loss=loss) | observe(ratio=ratio.mean(), clipped=outside)


class OfficialRatioClipping(RatioClipping):
    """The authors' form, for parity.

    The reward is not centred, and the generator runs twice on the latents, once for the score and once for the
    classifier, which only the running statistics of a BatchNorm notice.
    """

    def reward(self, turn: Turn) -> Tensor:
        return turn.gan.objective.reward(turn.fake.score)

    def classified(self, turn: Turn) -> Tensor:
        return turn.gan.generator(turn.z, turn.y)
