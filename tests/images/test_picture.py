"""Pictures for notebooks."""

from __future__ import annotations

import pytest
import torch

from genkit.images.picture import picture


def test_small_images_are_enlarged_by_a_whole_factor() -> None:
    images = torch.full((6, 1, 8, 8), -1.0)
    images[4, :, 2, 3] = 1.0
    shown = picture(images, columns=3, width=100)
    assert shown.mode == "L" and shown.size == (3 * 24 + 2 * 2, 2 * 24 + 2)
    top, left = 26 + 2 * 3, 26 + 3 * 3
    box = shown.crop((left - 1, top - 1, left + 4, top + 4))
    assert [box.getpixel((i, i)) for i in range(5)] == [0, 255, 255, 255, 0]


def test_large_images_and_colour_stay() -> None:
    images = torch.rand(2, 3, 50, 50) * 2 - 1
    shown = picture(images, columns=2, width=60)
    assert shown.mode == "RGB" and shown.size == (102, 50)


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (9, 3), (10, 3)])
def test_it_is_about_square(n: int, columns: int) -> None:
    assert picture(torch.zeros(n, 1, 10, 10), width=1).width == columns * 12 - 2


def test_it_is_never_higher_than_wide_may_be() -> None:
    assert picture(torch.zeros(4, 1, 10, 10), columns=1, width=100).size == (20, 4 * 22 - 2)
