"""Junk in a data set, and where it is."""

from __future__ import annotations

import pytest
import torch

from genkit.core.catalog import build
from genkit.core.errors import DataError
from genkit.data.dataset import DataSet
from genkit.data.outlier_mixture import outlier_mixture

CLEAN = DataSet("clean", torch.full((40, 1, 2, 2), 7, dtype=torch.uint8), torch.arange(40) % 4)


def test_the_share_is_replaced_and_known() -> None:
    junk = DataSet("junk", torch.full((20, 1, 2, 2), 200, dtype=torch.uint8))
    mixed = outlier_mixture(CLEAN, 0.25, junk, seed=3)
    assert mixed.outliers.sum() == 10 and mixed.labels.equal(CLEAN.labels)
    assert (mixed.x[mixed.outliers] == 200).all() and (mixed.x[~mixed.outliers] == 7).all()
    assert (CLEAN.x == 7).all(), "the clean set is left as it is"
    again, other = outlier_mixture(CLEAN, 0.25, junk, seed=3), outlier_mixture(CLEAN, 0.25, junk, seed=4)
    assert again.outliers.equal(mixed.outliers) and not other.outliers.equal(mixed.outliers)


def test_noise_of_images_and_points() -> None:
    mixed = outlier_mixture(DataSet("big", torch.zeros(400, 1, 4, 4, dtype=torch.uint8)), 0.25)
    noise = mixed.x[mixed.outliers].float()
    assert 120 < noise.mean() < 135 and noise.max() > 250 and (mixed.x[~mixed.outliers] == 0).all()
    points = build({"type": "outlier_mixture", "data": {"type": "gaussians8", "n": 100}, "share": 0.1})
    assert points.x.abs().max() < 3 and points.outliers.sum() == 10 and "10 % noise" in points.name


@pytest.mark.parametrize("share", [0.5, -0.1])
def test_refuses_shares(share: float) -> None:
    with pytest.raises(DataError, match=r"0 to below 0\.5"):
        outlier_mixture(CLEAN, share)


def test_refuses_junk_that_does_not_fit() -> None:
    with pytest.raises(DataError, match=r"junk samples are \[1, 3, 3\], the data's \[1, 2, 2\]"):
        outlier_mixture(CLEAN, 0.1, DataSet("junk", torch.zeros(9, 1, 3, 3, dtype=torch.uint8)))
    with pytest.raises(DataError, match="10 outliers are wanted, junk has 9"):
        outlier_mixture(CLEAN, 0.25, DataSet("junk", torch.zeros(9, 1, 2, 2, dtype=torch.uint8)))
