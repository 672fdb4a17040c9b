"""Images side by side: every one in its place, its pixels as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genkit.core.errors import DataError
from genkit.images.grid import TILE, WIDEST, enlarged, grid
from genkit.images.pixels import check_images, png_bytes


def test_image_k_is_in_its_row_and_column() -> None:
    x = torch.full((5, 1, 32, 64), 0, dtype=torch.uint8) + torch.arange(5, dtype=torch.uint8)[:, None, None, None]
    picture = grid(x, columns=3, padding=1)
    assert picture.shape == (1, 65, 194)
    assert torch.equal(picture[0, ::33, ::65], torch.tensor([[0, 1, 2], [3, 4, 255]], dtype=torch.uint8))
    assert (picture[0, 32] == 255).all() and (picture[0, :, 64] == 255).all()


def test_it_takes_floats_and_is_about_square_by_default() -> None:
    picture = grid(torch.full((10, 3, 64, 64), -1.0), padding=0)
    assert picture.shape == (3, 192, 256)
    assert int(picture[:, :64].max()) == 0


@pytest.mark.parametrize("x", [torch.zeros(0, 1, 2, 2), torch.zeros(1, 2, 2)])
def test_what_cannot_be_shown_is_refused(x: torch.Tensor) -> None:
    with pytest.raises(DataError, match="at least one image"):
        grid(x)


@pytest.mark.parametrize(("size", "columns", "times"), [(28, 8, 3), (16, 16, 4), (64, 8, 1), (100, 2, 1), (16, 100, 1)])
def test_small_images_are_enlarged_by_whole_factors_while_there_is_room(size: int, columns: int, times: int) -> None:
    x = torch.randint(256, (2, 1, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    large = enlarged(x, columns)
    assert large.shape[-1] == times * size >= min(TILE, size)
    assert columns * large.shape[-1] <= max(WIDEST, columns * size)
    for i in range(times):
        assert torch.equal(large[..., i::times, times - 1 - i :: times], x)


@pytest.mark.parametrize("other", [np.zeros((2, 3, 8, 8), np.uint8), [torch.zeros(3, 8, 8)], Image.new("RGB", (8, 8))])
def test_what_is_no_tensor_is_refused(other: Any) -> None:
    with pytest.raises(DataError, match=r"^a grid is made of a tensor \(N, C, H, W\), got an? "):
        grid(other)
    with pytest.raises(DataError, match=r"^a picture is made of a tensor \(C, H, W\), got an? "):
        png_bytes(other)
    with pytest.raises(DataError, match=r"^images are a float tensor \(B, 3, 8, 8\), got an? "):
        check_images(other, (3, 8, 8))
