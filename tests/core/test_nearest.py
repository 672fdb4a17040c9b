from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genkit.core import nearest as module
from genkit.core.errors import EvaluationError
from genkit.core.nearest import nearest


def brute_force(queries: Tensor, points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """All distances from differences, sorted; of equal ones the first."""
    squared = (queries.double()[:, None] - points.double()[None]).square().sum(2)
    found = squared.sort(dim=1, stable=True)
    return found.indices[:, :k], found.values[:, :k]


@pytest.fixture(params=[(1, 1), (4, 7), (256, 16384)], ids=str)
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUERIES", request.param[0])
    monkeypatch.setattr(module, "POINTS", request.param[1])


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("k", [1, 4, 50])
@pytest.mark.parametrize("offset", [0.0, 10.0, 1e6])
def test_equals_brute_force(k: int, offset: float) -> None:
    torch.manual_seed(0)
    queries, points = torch.randn(6, 3) + offset, torch.randn(50, 3) + offset
    where, squared = nearest(queries, points, k)
    want = brute_force(queries, points, k)
    assert where.equal(want[0]) and squared.equal(want[1]) and squared.dtype == torch.float64


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("k", [1, 5, 30])
def test_of_equal_distances_the_lower_position_comes_first(k: int) -> None:
    """On a grid most distances are shared, and by more points than are measured again."""
    torch.manual_seed(0)
    points = torch.randint(0, 3, (200, 2)).float() + 1000
    queries = torch.randint(0, 3, (9, 2)).float() + 1000
    where, squared = nearest(queries, points, k)
    want = brute_force(queries, points, k)
    assert where.equal(want[0]) and squared.equal(want[1])


def test_what_a_product_would_round_away() -> None:
    """Two points that differ by less than the rounding of their norms."""
    points = torch.tensor([[1e8, 1.0], [1e8, 1.0 + 1e-6], [-1e8, 0.0]], dtype=torch.float64)
    where, squared = nearest(torch.tensor([[1e8, 1.0 + 0.9e-6]], dtype=torch.float64), points, 1)
    assert where.tolist() == [[1]] and 0 < squared.item() < 2e-14


@pytest.mark.usefixtures("blocks")
def test_own_points_come_last() -> None:
    points = torch.tensor([[0.0], [1.0], [5.0]])
    owners = torch.tensor([8]), torch.tensor([8, 3, 4])
    where, squared = nearest(torch.tensor([[0.1]]), points, 3, owners=owners)
    assert where.tolist() == [[1, 2, 0]] and squared[0, 2] == math.inf


@pytest.mark.usefixtures("blocks")
def test_all_but_oneself() -> None:
    torch.manual_seed(0)
    points = torch.randint(0, 4, (60, 2)).float()
    ids = torch.arange(60)
    where, squared = nearest(points, points, 7, owners=(ids, ids))
    table = torch.cdist(points.double(), points.double(), compute_mode="donot_use_mm_for_euclid_dist").square()
    want = table.round().fill_diagonal_(math.inf).sort(dim=1, stable=True)
    assert where.equal(want.indices[:, :7]) and squared.equal(want.values[:, :7])


@pytest.mark.parametrize("k", [0, 5])
def test_more_neighbours_than_points(k: int) -> None:
    with pytest.raises(EvaluationError, match=f"the nearest {k} of 4 points"):
        nearest(torch.zeros(2, 3), torch.zeros(4, 3), k)


def test_no_queries() -> None:
    where, squared = nearest(torch.zeros(0, 3), torch.zeros(4, 3), 2)
    assert where.shape == squared.shape == (0, 2)
