from __future__ import annotations

import math

import pytest
import torch

from genkit.gan.objectives import Hinge, NonSaturating, Objective, Wasserstein

SCORES = [-2.0, -1.0, 0.0, 0.5, 3.0]


def softplus(s: float) -> float:
    return math.log1p(math.exp(s))


VALUES = [
    (Wasserstein(), lambda s: -s, lambda s: s, lambda s: s),
    (Hinge(), lambda s: max(0, 1 - s), lambda s: max(0, 1 + s), lambda s: s),
    (NonSaturating(), lambda s: softplus(-s), lambda s: softplus(s), lambda s: math.log(1 / (1 + math.exp(-s)))),
]


@pytest.mark.parametrize(("objective", "real", "fake", "reward"), VALUES, ids=[type(v[0]).__name__ for v in VALUES])
def test_values(objective: Objective, real: object, fake: object, reward: object) -> None:
    score = torch.tensor(SCORES)
    for got, want in ((objective.critic_real, real), (objective.critic_fake, fake), (objective.reward, reward)):
        assert got(score).tolist() == pytest.approx([want(s) for s in SCORES], abs=1e-6)  # type: ignore[operator]


@pytest.mark.parametrize("objective", [v[0] for v in VALUES], ids=lambda o: type(o).__name__)
def test_the_critic_pushes_real_up_and_fake_down_and_the_generator_climbs(objective: Objective) -> None:
    for term, sign in ((objective.critic_real, -1), (objective.critic_fake, 1), (objective.reward, 1)):
        score = torch.tensor([-0.5, 0.0, 0.5], requires_grad=True)
        (gradient,) = torch.autograd.grad(term(score).sum(), score)
        assert (gradient * sign > 0).all()


def test_hinge_lets_go_beyond_its_margins() -> None:
    score = torch.tensor([1.5, -1.5], requires_grad=True)
    (gradient,) = torch.autograd.grad(Hinge().critic_real(score).sum() - Hinge().critic_fake(score).sum(), score)
    assert gradient.tolist() == [-1, 0] or gradient.tolist() == [-1.0, -1.0]


def test_the_generator_of_the_non_saturating_game_learns_most_from_bad_samples() -> None:
    score = torch.tensor([-5.0, 5.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(NonSaturating().reward(score).sum(), score)
    assert gradient[0] > 0.99 and gradient[1] < 0.01
