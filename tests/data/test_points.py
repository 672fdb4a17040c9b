from __future__ import annotations

import math

import pytest
import torch

from genkit.catalog import build
from genkit.data.points import MIXTURES, gaussians8, gaussians25, mode_statistics, swiss_roll
from genkit.errors import DataError, RecipeError

MIXED = {"gaussians25": gaussians25, "gaussians8": gaussians8}


@pytest.mark.parametrize("name", MIXED)
def test_modes_are_where_the_label_says_with_the_stated_spread(name: str) -> None:
    data = MIXED[name](n=50_000, seed=3)
    centres, std = MIXTURES[name]
    error = data.x - centres[data.labels]
    assert data.name == name and data.x.shape == (50_000, 2)
    assert error.std(0).sub(std).abs().max() < 0.02 * std and error.mean(0).abs().max() < 0.02 * std
    share = data.labels.bincount() / len(data)
    assert (share * len(centres) - 1).abs().max() < 0.1


def test_centres() -> None:
    grid, ring = MIXTURES["gaussians25"][0], MIXTURES["gaussians8"][0]
    assert {tuple(c) for c in grid.tolist()} == {(float(x), float(y)) for x in range(-2, 3) for y in range(-2, 3)}
    assert torch.allclose(ring.norm(dim=1), torch.tensor(2.0)) and torch.cdist(ring, ring)[0].unique().numel() >= 5


def test_swiss_roll_is_a_spiral() -> None:
    x = swiss_roll(n=2000, std=0.01).x * 7.5
    t = x.norm(dim=1)
    assert t.min() > 1.5 * math.pi - 0.1 and t.max() < 4.5 * math.pi + 0.1
    assert (x[:, 0] - t * t.cos()).abs().max() < 0.8 and (x[:, 1] - t * t.sin()).abs().max() < 0.8


@pytest.mark.parametrize("make", [gaussians25, gaussians8, swiss_roll])
def test_a_function_of_the_seed(make) -> None:
    assert torch.equal(make(n=10, seed=1).x, make(n=10, seed=1).x)
    assert not torch.equal(make(n=10, seed=1).x, make(n=10, seed=2).x)
    with pytest.raises(DataError, match="n=0"):
        make(n=0)


@pytest.mark.parametrize(("key", "value"), [("n", 0), ("std", 0), ("std", "nan"), ("seed", -1), ("n", "many")])
def test_ranges_are_checked_by_the_catalog(key: str, value: object) -> None:
    with pytest.raises(RecipeError, match=f"^{key}: "):
        build({"type": "gaussians25", key: value}, kind="data")


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("radius", [2.0, 3.0])
def test_perfect_samples_have_the_closed_form(name: str, radius: float) -> None:
    statistics = mode_statistics(MIXED[name](n=40_000).x, name, radius=radius)
    expected = 1 - math.exp(-(radius**2) / 2)
    assert abs(statistics.good - expected) < 4 * math.sqrt(expected * (1 - expected) / 40_000)
    assert statistics.modes == len(MIXTURES[name][0]) and int(statistics.counts.sum()) == round(
        statistics.good * 40_000
    )


def test_collapse_and_rubbish() -> None:
    points = torch.tensor([[1.0, 2.0], [1.1, 2.0], [0.5, 0.5], [float("nan"), 0.0], [-2.0, -2.14]])
    statistics = mode_statistics(points, "gaussians25")
    assert statistics.modes == 2 and statistics.good == pytest.approx(3 / 5)
    assert statistics.counts[3 * 5 + 4].item() == 2  # (1, 2) is row 3, column 4 of the grid
    assert mode_statistics(points, "gaussians25", std=0.01).modes == 1


@pytest.mark.parametrize(
    ("points", "name", "reason"),
    [
        (torch.zeros(2, 2), "swiss_roll", "no modes"),
        (torch.zeros(0, 2), "gaussians8", "N of at least 1"),
        (torch.zeros(2, 3), "gaussians8", r"\(N, 2\)"),
    ],
)
def test_what_cannot_be_counted(points, name, reason) -> None:
    with pytest.raises(DataError, match=reason):
        mode_statistics(points, name)
