"""The rank that a result tells of its features."""

from __future__ import annotations

import pytest
import torch

from genkit.evaluation.functional.frechet import rank_of_features


@pytest.mark.parametrize(("n", "d"), [(40, 256), (40, 1280), (12, 64), (64, 64), (300, 64)])
@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (100.0, 1000.0), (1.0, 5.0)])
def test_n_samples_have_a_rank_below_n_and_copies_add_nothing(n: int, d: int, scale: float, offset: float) -> None:
    for seed in range(8):
        x = torch.rand(n, d, generator=torch.Generator().manual_seed(seed)) * scale + offset
        assert rank_of_features(x.double()) == min(n - 1, d)
        assert rank_of_features(torch.cat([x[: n // 2], x[: n // 2]]).double()) == min(n // 2 - 1, d)
