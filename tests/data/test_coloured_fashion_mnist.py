from __future__ import annotations

import pytest
import torch

from genkit.data.coloured_fashion_mnist import coloured_fashion_mnist, seen
from genkit.data.dataset import DataSet
from genkit.images.hue import hue_of
from tests.shared import shared


def bar() -> torch.Tensor:
    """An upright bar whose upper half is twice as wide, (1, 1, 28, 28)."""
    x = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    x[..., 4:24, 12:16] = 200
    x[..., 4:14, 10:18] = 200
    return x


def test_a_garment_is_padded_tinted_turned_and_reduced() -> None:
    one = torch.ones(1)
    plain = seen(bar(), 0 * one, 0 * one, one)
    assert plain.shape == (1, 3, 32, 32) and plain[0, 0, 2:30, 2:30].equal(bar()[0, 0])
    hue = torch.tensor([0.6])
    assert (hue_of(seen(bar(), hue, 0 * one, one).float().mean((2, 3))) - hue).abs() < 0.01
    small = seen(bar(), 0 * one, 0 * one, 0.7 * one).float()[0, 0]
    assert abs(small.sum() / plain[0, 0].sum() - 0.49) < 0.01
    for degrees, side in ((20.0, 1), (-20.0, -1)):
        turned = seen(bar(), 0 * one, degrees * one, one).float()[0, 0]
        column = (turned[:12] * torch.arange(32)).sum() / turned[:12].sum()
        assert side * (column - 15.5) > 1, "clockwise: what is up moves to the right"


@pytest.fixture(scope="module")
def garments() -> DataSet:
    return coloured_fashion_mnist("test", root=shared("data"))


def test_image_i_is_a_function_of_seed_split_and_i(garments: DataSet) -> None:
    assert garments.x.shape == (10_000, 3, 32, 32) and list(garments.conditions) == [
        "label",
        "hue",
        "rotation",
        "scale",
    ]
    assert garments.conditions.class_names[1] == "Trouser" and garments.sided == ("rotation",)
    again = coloured_fashion_mnist("test", root=shared("data"), seed=1)
    assert again.labels is not None and again.labels.equal(garments.labels) and not again.x.equal(garments.x)
    plain = coloured_fashion_mnist("test", root=shared("data"), labels=False, attributes=False)
    assert not plain.conditions and plain.x.equal(garments.x)


def test_hues_are_exact_where_there_is_light(garments: DataSet) -> None:
    x = garments.x[:500].float()
    bright = x.mean((1, 2, 3)) > 10
    apart = garments.conditions["hue"].distance(hue_of(x.mean((2, 3))), garments.attributes["hue"][:500])
    assert bright.sum() > 300 and 360 * apart[bright].max() < 2
