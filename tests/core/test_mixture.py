from __future__ import annotations

import math

import pytest
import torch

from genkit.core.errors import DataError
from genkit.core.mixture import PointMixture, mode_statistics
from genkit.data.points import gaussians8, gaussians25


@pytest.mark.parametrize("make", [gaussians8, gaussians25])
@pytest.mark.parametrize("radius", [2.0, 3.0])
def test_perfect_samples_have_the_closed_form(make, radius: float) -> None:
    data = make(n=40_000)
    statistics = mode_statistics(data.x, data.mixture, radius)
    expected = 1 - math.exp(-(radius**2) / 2)
    assert abs(statistics.good - expected) < 4 * math.sqrt(expected * (1 - expected) / 40_000)
    assert statistics.modes == len(data.mixture.centres)
    assert 0.85 * expected < statistics.rarest < expected
    assert int(statistics.counts.sum()) == round(statistics.good * 40_000)


def test_collapse_and_rubbish() -> None:
    mixture = gaussians25(n=1).mixture
    assert mixture
    points = torch.tensor([[1.0, 2.0], [1.1, 2.0], [0.5, 0.5], [float("nan"), 0.0], [-2.0, -2.14]])
    statistics = mode_statistics(points, mixture)
    assert statistics.modes == 2 and statistics.good == pytest.approx(3 / 5)
    assert statistics.counts[3 * 5 + 4].item() == 2  # (1, 2) is row 3, column 4 of the grid
    assert mode_statistics(points, PointMixture(mixture.centres, 0.01)).modes == 1
    assert statistics.rarest == 0


def test_a_stray_sample_finds_a_mode_but_does_not_fill_it() -> None:
    statistics = mode_statistics(torch.tensor([[0.0]] * 9 + [[1.0]]), PointMixture(torch.tensor([[0.0], [1.0]]), 0.05))
    assert statistics.modes == 2 and statistics.good == 1 and statistics.rarest == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("points", "reason"), [(torch.zeros(0, 2), "N of at least 1"), (torch.zeros(2, 3), r"\(N, 2\).*\(2, 3\)")]
)
def test_what_cannot_be_counted(points, reason) -> None:
    with pytest.raises(DataError, match=reason):
        mode_statistics(points, PointMixture(torch.zeros(1, 2), 1.0))
