"""Losses of unsupervised domain adaptation, as pure functions of scores, logits and weights.

Balaji et al. 2020, arXiv:2010.05862, Sec. 5, as in the authors' code: the source is what a critic takes for real, the
target for fake, and the weights, which are the target's alone, stand outside the non-linearity.
"""

from __future__ import annotations

from torch import Tensor

from genkit.gan.objectives import Objective


def distance_loss(objective: Objective, source: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """The loss that the critic descends and the features climb: mean l_real(D(s)) + mean w l_fake(D(t)), a scalar.

    Args:
        objective: gives l_real and l_fake; softplus(-D) and softplus(D) for the non-saturating one.
        source, target: scores (B,) of either domain.
        weights: (B,), mean one, of the target samples.
    """
    return objective.critic_real(source).mean() + (weights * objective.critic_fake(target)).mean()


def entropy(logits: Tensor) -> Tensor:
    """H(p) in nats of softmax(logits), (B, classes) -> (B,)."""
    log_p = logits.log_softmax(1)
    return -(log_p.exp() * log_p).sum(1)


def weighted_entropy(logits: Tensor, weights: Tensor) -> Tensor:
    """mean_i w_i H(p_i) of target samples, a scalar."""
    return (weights * entropy(logits)).mean()


def weight_cost(objective: Objective, target: Tensor, logits: Tensor, entropy_weight: float) -> Tensor:
    """Cost for W of a unit of weight on each target sample, (B,): -l_fake(D(t)) + entropy_weight H(p).

    W descends mean w cost, which is minus the critic's loss plus the entropy, but for the source's half, in which there
    are no weights. So weight goes to samples that look like the source and of which the classifier is sure.
    """
    return entropy_weight * entropy(logits) - objective.critic_fake(target)
