from __future__ import annotations

import math

import pytest
import torch

from genkit.core.catalog import build
from genkit.core.errors import DataError, RecipeError
from genkit.data.outlier_mixture import outlier_mixture
from genkit.data.part import part
from genkit.data.points import CENTRES, gaussians8, gaussians25, swiss_roll

MIXED = {"gaussians25": gaussians25, "gaussians8": gaussians8}


@pytest.mark.parametrize("name", MIXED)
def test_modes_are_where_the_label_says_with_the_stated_spread(name: str) -> None:
    data = MIXED[name](n=50_000, seed=3)
    assert data.mixture
    centres, std = data.mixture.centres, data.mixture.std
    error = data.x - centres[data.labels]
    assert data.name == name and data.x.shape == (50_000, 2)
    assert error.std(0).sub(std).abs().max() < 0.02 * std and error.mean(0).abs().max() < 0.02 * std
    share = data.labels.bincount() / len(data)
    assert (share * len(centres) - 1).abs().max() < 0.1


def test_centres() -> None:
    grid, ring = CENTRES["gaussians25"], CENTRES["gaussians8"]
    assert {tuple(c) for c in grid.tolist()} == {(float(x), float(y)) for x in range(-2, 3) for y in range(-2, 3)}
    assert torch.allclose(ring.norm(dim=1), torch.tensor(2.0)) and torch.cdist(ring, ring)[0].unique().numel() >= 5


def test_a_part_knows_its_mixture_and_what_is_spoilt_has_none() -> None:
    data = gaussians25(n=20, std=0.1)
    assert data.mixture and data.mixture.std == 0.1 and part(data, 10).mixture is data.mixture
    assert outlier_mixture(data, 0.1).mixture is None and swiss_roll(n=5).mixture is None


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
