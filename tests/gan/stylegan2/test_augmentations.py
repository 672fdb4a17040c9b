"""Moves of pixels and colours, against flips, turns and rolls of torch, and their second derivatives."""

from __future__ import annotations

from math import pi

import pytest
import torch
from torch import Tensor

from genkit.gan.stylegan2 import augmentations
from genkit.gan.stylegan2.augmentations import blits, colours, mirrored, recoloured, warped, warps

X = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
ONE = torch.ones(2, dtype=torch.float64)


def same(matrix: Tensor) -> Tensor:
    return warped(X, matrix)


def test_what_does_not_move_stays_exactly_up_to_its_edges() -> None:
    """The filter is orthogonal to its even shifts, also over the mirror images."""
    torch.testing.assert_close(same(torch.eye(3, dtype=torch.float64).expand(2, 3, 3)), X)


def test_mirror_images_and_whole_moves_are_those_of_torch() -> None:
    x = smooth()
    torch.testing.assert_close(warped(x, augmentations._scaled(-ONE, ONE)), x.flip(3), rtol=0, atol=0.03)
    by = torch.tensor([[3.0, -2.0]], dtype=torch.float64).expand(2, 2)
    moved = X[:, :, mirrored(torch.arange(2, 14), 12)][:, :, :, mirrored(torch.arange(-3, 9), 12)]
    made = same(augmentations._moved(by))
    torch.testing.assert_close(made[..., :-4, 4:], moved[..., :-4, 4:], rtol=0, atol=1e-6)


def smooth() -> Tensor:
    """A blob off the middle, which resampling hardly changes."""
    at = torch.linspace(-1, 1, 32, dtype=torch.float64)
    return torch.exp(-((at[None, :] - 0.3) ** 2 + (at[:, None] + 0.2) ** 2) * 20).expand(2, 1, 32, 32)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns(quarters: int) -> None:
    x = smooth()
    made = warped(x, augmentations._turned(ONE * quarters * pi / 2))
    assert min((made - x.rot90(k, (2, 3))).abs().max() for k in (quarters, -quarters)) < 0.03
    assert (made - x).abs().max() > 0.3


def test_scale_is_about_the_middle() -> None:
    larger = warped(smooth(), augmentations._scaled(ONE * 1.5, ONE * 1.5))
    torch.testing.assert_close(larger.sum(), 1.5**2 * smooth().sum(), rtol=0.02, atol=0)
    at = torch.linspace(-1, 1, 32, dtype=torch.float64)
    row, column = (at @ larger[0, 0].sum(d) / larger[0].sum() for d in (1, 0))
    assert abs(column - 0.45) < 0.03 and abs(row + 0.3) < 0.03


def test_nothing_happens_at_zero_and_every_image_changes_at_one() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 3, 12, 12)
    for make, apply in ((blits, warped), (warps, warped), (colours, recoloured)):
        torch.testing.assert_close(apply(x, make(x, torch.tensor(0.0))), x, rtol=0, atol=1e-5)
        changed = (apply(x, make(x, torch.tensor(1.0))) - x).abs().amax((1, 2, 3)) > 1e-2
        assert changed.float().mean() > 0.9
        some = (make(x, torch.tensor(0.1)) - make(x, torch.tensor(0.0))).abs().amax((1, 2)) > 1e-3
        assert 0.1 < some.float().mean() < 0.6


def test_hue_keeps_grey_and_inverted_brightness_keeps_hue() -> None:
    torch.manual_seed(0)
    grey = torch.rand(256, 1, 4, 4).expand(-1, 3, -1, -1)
    made = recoloured(grey, colours(grey, torch.tensor(1.0)))
    torch.testing.assert_close(made.amax(1), made.amin(1), rtol=1e-4, atol=1e-5)
    single = recoloured(grey[:, :1], colours(grey[:, :1], torch.tensor(1.0)))
    assert single.shape == (256, 1, 4, 4) and (single - grey[:, :1]).abs().amax((1, 2, 3)).min() > 1e-4
    slopes = (made[:, 0].flatten(1).amax(1) - made[:, 0].flatten(1).amin(1)) > 0
    assert slopes.all()


def test_differentiable_twice() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    moves, hues = warps(x, torch.tensor(1.0)).double(), colours(x, torch.tensor(1.0)).double()

    def change(x: Tensor) -> Tensor:
        return recoloured(warped(x, moves), hues).square().mean((2, 3))

    assert torch.autograd.gradcheck(change, x) and torch.autograd.gradgradcheck(change, x)
