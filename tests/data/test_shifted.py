"""Images seen otherwise."""

from __future__ import annotations

import pytest
import torch

from genkit.core.catalog import build
from genkit.core.errors import DataError, RecipeError
from genkit.data.dataset import DataSet
from genkit.data.shifted import shifted

DIGITS = build({"type": "digits", "split": "test", "size": 16, "channels": 3})


def test_nothing_asked_for_changes_nothing() -> None:
    same = shifted(DIGITS)
    assert same.x.equal(DIGITS.x) and same.labels.equal(DIGITS.labels) and same.classes == DIGITS.classes
    assert same.name == DIGITS.name


def test_inversion() -> None:
    dark = shifted(DIGITS, inverted=True)
    assert dark.x.equal(255 - DIGITS.x) and dark.name == "digits/test inverted"


def test_rotation_is_counter_clockwise_and_fills_with_black() -> None:
    x = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    x[..., :, 7] = 200
    turned = shifted(DataSet("right edge", x), rotation=90).x
    assert (turned[..., 0, :].float() - 200).abs().max() <= 1 and turned[..., 1:, :].max() <= 1
    white = torch.full_like(x, 255)
    corners = shifted(DataSet("white", white), rotation=45).x[0, 0, [0, 0, 7, 7], [0, 7, 0, 7]]
    assert corners.tolist() == [0, 0, 0, 0]


def test_noise_has_its_standard_deviation_and_differs_from_image_to_image() -> None:
    grey = DataSet("grey", torch.full((200, 1, 8, 8), 128, dtype=torch.uint8))
    noisy = shifted(grey, noise=0.1).x.float() / 255
    assert noisy.std().item() == pytest.approx(0.1, rel=0.05) and noisy.mean().item() == pytest.approx(0.5, abs=0.01)
    assert not noisy[0].equal(noisy[1])


def test_a_blended_background_leaves_the_difference() -> None:
    black, white = (DataSet("flat", torch.full((50, 3, 8, 8), level, dtype=torch.uint8)) for level in (0, 255))
    background, negative = shifted(black, background="blended").x, shifted(white, background="blended").x
    assert (background.int() + negative.int() - 255).abs().max() <= 1
    assert background.float().std() > 30 and not background[:, 0].equal(background[:, 1])
    steps = background.float().diff(dim=-1).abs().mean()
    assert steps < background.float().std() / 2, "smooth"


def test_the_seed_decides() -> None:
    first, again, other = (shifted(DIGITS, background="blended", noise=0.1, seed=seed).x for seed in (1, 1, 2))
    assert first.equal(again) and not first.equal(other)


def test_refuses() -> None:
    with pytest.raises(DataError, match="only images are shifted"):
        shifted(DataSet("points", torch.zeros(3, 2)))
    with pytest.raises(RecipeError, match=r"noise.*less than or equal to 1"):
        build({"type": "shifted", "data": {"type": "digits"}, "noise": 2})
