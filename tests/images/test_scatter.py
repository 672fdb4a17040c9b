from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from genkit.core.errors import DataError
from genkit.images import scatter


def opened(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_scatter_has_x_to_the_right_and_y_up(tmp_path) -> None:
    content = scatter.points_png(torch.tensor([[1.0, 1.0]]), tmp_path / "p.png", extent=2, size=100)
    assert (tmp_path / "p.png").read_bytes() == content
    rows, columns = np.nonzero(opened(content)[:, :, 0] < 200)
    assert abs(rows.mean() - 24.75) < 1 and abs(columns.mean() - 74.25) < 1


def test_scatter_beside_the_data_has_one_scale_and_says_what_lies_outside(tmp_path) -> None:
    """Two pictures, the data's on the left, whatever the samples reach; here a quarter of them is out of sight."""
    data, samples = torch.tensor([[2.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, -2.0], [2.0, -2.0], [90.0, 0.0]])
    pixels = opened(scatter.points_png(samples, data=data, size=200))
    assert pixels.shape[:2] == (200, 400 + scatter.GAP)
    left, right = pixels[20:, :200], pixels[20:, -200:]  # below the titles
    assert np.array_equal(left[:100], right[:100])  # the one point that they share
    assert (left[100:, :, 0] == 255).all() and (right[100:, :, 0] < 200).any()
    without = opened(scatter.points_png(samples[:3], data=data, size=200))
    assert np.array_equal(without[20:], pixels[20:]) and not np.array_equal(without[:20], pixels[:20])


def test_scatter_refuses_points_that_are_not_finite() -> None:
    with pytest.raises(DataError, match="finite"):
        scatter.points_png(torch.tensor([[0.0, float("nan")]]))
    assert scatter.points_png(torch.zeros(0, 2))
