from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genkit.gan.gradient_penalty import R1, GradientPenalty, score_gradient
from tests.gan.game import judged, linear_game, turn

U = torch.rand(5, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("w", [(3.0, 4.0), (0.3, 0.4), (0.6, 0.8)])
def test_closed_forms_of_a_linear_critic(w: tuple[float, float]) -> None:
    gan, norm = linear_game(*w, b=2.0), sum(v * v for v in w) ** 0.5
    given = turn(gan, judged(gan, 1), judged(gan, 2), U)
    assert GradientPenalty(7.0)(given).item() == pytest.approx(7 * (norm - 1) ** 2, abs=1e-5)
    assert GradientPenalty(7.0, "one")(given).item() == pytest.approx(7 * max(0, norm - 1) ** 2, abs=1e-5)
    assert R1(7.0)(given).item() == pytest.approx(7 / 2 * norm**2, rel=1e-6)
    assert GradientPenalty(7.0, target=2)(given).item() == pytest.approx(7 / 4 * (norm - 2) ** 2, abs=1e-5)
    assert GradientPenalty(7.0, "one", 2)(given).item() == pytest.approx(7 / 4 * max(0, norm - 2) ** 2, abs=1e-5)


def test_its_gradient_pulls_the_norm_to_one_from_both_sides() -> None:
    for scale, sign in ((2.0, 1.0), (0.5, -1.0)):
        gan = linear_game(scale, 0.0)
        GradientPenalty(1.0)(turn(gan, judged(gan, 1), judged(gan, 2), U)).backward()
        assert gan.critic.w.grad[0].item() == pytest.approx(2 * (scale - 1), abs=1e-5)
        assert gan.critic.w.grad[0] * sign > 0
    gan = linear_game(0.5, 0.0)
    GradientPenalty(1.0, "one")(turn(gan, judged(gan, 1), judged(gan, 2), U)).backward()
    assert gan.critic.w.grad.abs().sum() == 0


def test_the_penalty_is_taken_between_real_and_fake_r1_at_the_real_ones() -> None:
    gan = linear_game(1.0, 0.0)
    seen: list[Tensor] = []
    honest = gan.critic.forward
    gan.critic.forward = lambda x, y=None: (seen.append(x.detach()), honest(x, y))[1]
    real, fake = judged(gan, 1), judged(gan, 2)
    seen.clear()
    GradientPenalty()(turn(gan, real, fake, U))
    torch.testing.assert_close(seen.pop(), U[:, None] * real.x + (1 - U[:, None]) * fake.x)
    R1()(turn(gan, real, fake, U))
    assert seen.pop().equal(real.x)


def test_gradients_are_of_each_sample_and_work_under_no_grad() -> None:
    gan = linear_game(1.0, 1.0)
    gan.critic.forward = lambda x, y=None: x.square().sum(1) / 2
    x = torch.randn(4, 2)
    with torch.no_grad():
        torch.testing.assert_close(score_gradient(gan, x, {}), x)
