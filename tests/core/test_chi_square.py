"""The ball of weights: its size in words, and its optimum against a search."""

from __future__ import annotations

import pytest
import torch

from genkit.core.chi_square import ball_penalty, closed_form, rho_of_share
from genkit.core.errors import RecipeError


@pytest.mark.parametrize("share", [0.01, 0.05, 0.25, 0.49])
def test_the_radius_lets_exactly_that_share_go(share: float) -> None:
    weights = torch.full((100,), 1 / (1 - share), dtype=torch.float64)
    weights[: round(100 * share)] = 0
    assert weights.mean().item() == pytest.approx(1)
    assert (0.5 * (weights - 1).square()).mean().item() == pytest.approx(rho_of_share(share))
    assert ball_penalty(weights, rho_of_share(share)).item() == pytest.approx(0, abs=1e-9)
    assert ball_penalty(weights, 0.9 * rho_of_share(share)) > 0


def test_junk_with_far_scores_loses_all_weight_and_the_rest_keeps_an_equal_share() -> None:
    score = torch.cat([torch.zeros(95), torch.full((5,), 50.0)])
    weights = closed_form(score, rho_of_share(0.05))
    torch.testing.assert_close(weights, torch.cat([torch.full((95,), 1 / 0.95), torch.zeros(5)]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("rho", [0.0, 0.02, 0.3, 5.0])
def test_no_weights_in_the_ball_do_better(rho: float) -> None:
    rng = torch.Generator().manual_seed(0)
    score = torch.randn(12, generator=rng).double()
    best = closed_form(score, rho)
    assert best.min() >= 0 and best.mean().item() == pytest.approx(1)
    assert (0.5 * (best - 1).square()).mean() <= rho + 1e-9
    for _ in range(300):
        step = torch.randn(12, generator=rng).double()
        others = best + 0.3 * (step - step.mean())
        spread = (0.5 * (others - 1).square()).mean()
        others = 1 + (others - 1) * min(1.0, float((rho / spread).sqrt()))
        if others.min() >= 0:
            assert (others * score).sum() >= (best * score).sum() - 1e-9


@pytest.mark.parametrize("share", [-0.1, 0.5, 1.0, float("nan")])
def test_no_such_share(share: float) -> None:
    with pytest.raises(RecipeError, match="up to this share of the data may be junk"):
        rho_of_share(share)
