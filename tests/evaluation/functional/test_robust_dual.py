"""The estimate of robust transport by a Lipschitz network, beside the exact programme."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from genkit.core.errors import EvaluationError
from genkit.evaluation.functional.robust_dual import lipschitz_network, robust_wasserstein_dual
from genkit.evaluation.functional.robust_transport import robust_wasserstein

RHO = 0.05 / (2 * 0.95)


@pytest.fixture(scope="module")
def sets() -> tuple[Tensor, Tensor]:
    """40 points on a ring, two of them far junk, and 30 on a narrower one."""
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(40, 2, generator=rng).double(), torch.randn(30, 2, generator=rng).double()
    x, y = 10 * x / x.norm(dim=1, keepdim=True), 5 * y / y.norm(dim=1, keepdim=True)
    x[:2] = torch.tensor([[40.0, 30.0], [38.0, 31.0]])
    return x, y


@pytest.mark.parametrize(("rho", "sides"), [(0.0, "x"), (RHO, "x"), (RHO, "both")])
def test_it_is_the_cone_programmes_value_from_below(sets: tuple[Tensor, Tensor], rho: float, sides: Any) -> None:
    pytest.importorskip("cvxpy")
    x, y = sets
    exact = robust_wasserstein(x, y, rho, sides=sides, cost="euclidean")
    found = robust_wasserstein_dual(x, y, rho, sides=sides, steps=120)
    assert 0.93 * exact.value < found.value < (1 + 1e-5) * exact.value
    torch.testing.assert_close(found.x_weights, exact.x_weights, atol=0.25, rtol=0)
    if rho:
        assert found.x_weights[:2].max() < 0.15 < 0.9 < found.x_weights[2:].mean()
        assert found.x_score[:2].min() > found.x_score[2:].max()


def test_sets_larger_than_a_batch(sets: tuple[Tensor, Tensor]) -> None:
    whole, parts = (robust_wasserstein_dual(*sets, RHO, steps=80, batch_size=n) for n in (512, 24))
    assert len(parts.x_weights) == 40 and len(parts.y_weights) == 30
    assert parts.value == pytest.approx(whole.value, rel=0.06)


def test_the_seed_says_all_and_the_global_state_stays(sets: tuple[Tensor, Tensor]) -> None:
    before, told = torch.get_rng_state(), []
    a, b = (robust_wasserstein_dual(*sets, RHO, steps=3, seed=5, progress=lambda *p: told.append(p)) for _ in "ab")
    assert torch.equal(before, torch.get_rng_state()) and told[-1] == (3, 3)
    assert a.value == b.value and torch.equal(a.x_weights, b.x_weights)


def test_the_network_never_stretches() -> None:
    torch.manual_seed(0)
    network = lipschitz_network(7, 16)
    a, b = torch.randn(500, 7), torch.randn(500, 7)
    b[:250] = a[:250] + 1e-2 * b[:250]
    with torch.no_grad():
        ratio = (network(a) - network(b)).abs().squeeze(1) / (a - b).norm(dim=1)
    assert 0.1 < ratio.max() < 1 + 1e-4


@pytest.mark.parametrize(
    ("rho", "settings", "words"),
    [
        (-0.1, {}, "0 or more"),
        (float("nan"), {}, "0 or more"),
        (0.1, {"width": 3}, "even"),
        (0.1, {"steps": 0}, "steps"),
    ],
)
def test_refusals(sets: tuple[Tensor, Tensor], rho: float, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(EvaluationError, match=words):
        robust_wasserstein_dual(*sets, rho, **settings)


def test_sets_that_do_not_fit() -> None:
    with pytest.raises(EvaluationError, match="dimensions"):
        robust_wasserstein_dual(torch.zeros(4, 2), torch.zeros(4, 3), 0.1)
