from __future__ import annotations

import pytest
import torch

from genkit.core.errors import RecipeError
from genkit.gan.consistency import Consistency, consistency_loss
from genkit.gan.gan import GAN, GANTraining
from genkit.gan.networks.dcgan import DCGANCritic, DCGANGenerator
from tests.gan.game import Linear, turn


def test_value_and_margin() -> None:
    score1, score2 = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 2.0])
    h1, h2 = torch.zeros(2, 4), torch.tensor([[2.0, 0, 0, 0], [0, 0, 0, 0]])
    assert consistency_loss(score1, h1, score2, h2, 0.5, 3.0, 0.0).item() == pytest.approx((0.5 * 4 + 3 * 1) / 2)
    assert consistency_loss(score1, h1, score2, h2, 0.5, 3.0, 1.0).item() == pytest.approx((5 - 1) / 2)


def game(dropout: float) -> GANTraining:
    torch.manual_seed(0)
    critic = DCGANCritic(8, 1, 4, dropout=dropout)
    return GANTraining(GAN(DCGANGenerator(3, 8, 1, 4)), critic, penalties=[Consistency()])


def test_two_passes_disagree_by_dropout_alone() -> None:
    for dropout in (0.0, 0.5):
        system = game(dropout)
        real = system.judge(torch.randn(4, 1, 8, 8), {})
        term = system.penalties[0](turn(system, real, real))
        assert (term.item() > 1e-3) == (dropout > 0)


def test_a_critic_without_features_is_refused() -> None:
    with pytest.raises(RecipeError, match="Linear has none"):
        GANTraining(GAN(DCGANGenerator(3, 8, 1, 4)), Linear(torch.zeros(1, 8, 8)), penalties=[Consistency()])
