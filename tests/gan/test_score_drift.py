from __future__ import annotations

import pytest
import torch

from genkit.gan.score_drift import ScoreDrift
from tests.gan.game import judged, linear_game, turn


def test_value_and_gradient_are_those_of_the_squared_mean() -> None:
    gan = linear_game(1.0, -2.0, b=3.0)
    real = judged(gan, 0)
    drift = ScoreDrift(0.5)(turn(gan, real, judged(gan, 1)))
    wanted = 0.5 * real.score.mean().square()
    assert drift.item() == pytest.approx(wanted.item())
    assert not torch.allclose(wanted, 0.5 * real.score.square().mean()), "the square is outside the mean"
    (got,) = torch.autograd.grad(drift, gan.critic.w, retain_graph=True)
    (expected,) = torch.autograd.grad(wanted, gan.critic.w)
    torch.testing.assert_close(got, expected)
