from __future__ import annotations

import math

import pytest
import torch

from genkit.vae.log_mixture import LeaveOut
from genkit.vae.nearest import nearest


@pytest.mark.parametrize("block", [1, 7, 50, 1000])
@pytest.mark.parametrize("k", [1, 4, 50])
def test_against_all_distances(block: int, k: int) -> None:
    torch.manual_seed(0)
    z, points = torch.randn(6, 3) + 10, torch.randn(50, 3) + 10
    where, squares = nearest(z, points, k, block=block)
    want = torch.cdist(z, points).square().topk(k, dim=1, largest=False)
    torch.testing.assert_close(squares, want.values, rtol=1e-4, atol=1e-4)
    assert where.equal(want.indices)


def test_own_points_come_last() -> None:
    points = torch.tensor([[0.0], [1.0], [5.0]])
    out = LeaveOut(torch.tensor([8]), torch.tensor([8, 3, 4]))
    where, squares = nearest(torch.tensor([[0.1]]), points, 3, leave_out=out, block=2)
    assert where.tolist() == [[1, 2, 0]] and squares[0, 2] == math.inf
