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


def test_points_lie_over_the_data_at_their_scale_and_what_lies_outside_is_told() -> None:
    data, samples = torch.tensor([[2.0, 0.0], [-2.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, -2.0], [90.0, 0.0]])
    pixels = opened(scatter.points_png(samples, data=data, size=200))
    below = pixels[40:]  # the words
    assert pixels.shape[:2] == (200, 200)
    blue, grey = ((below == colour).all(-1).nonzero() for colour in (scatter.BLUE, scatter.GREY))
    assert set(grey[1] < 100) == {True}, "the point on the right is hidden by a sample"
    assert (blue[1] > 150).any() and (blue[0] > 130).any()
    without = opened(scatter.points_png(samples[:2], data=data, size=200))
    assert np.array_equal(without[40:], below) and not np.array_equal(without[:40], pixels[:40])


def test_scatter_refuses_points_that_are_not_finite() -> None:
    with pytest.raises(DataError, match="finite"):
        scatter.points_png(torch.tensor([[0.0, float("nan")]]))
    assert scatter.points_png(torch.zeros(0, 2))
