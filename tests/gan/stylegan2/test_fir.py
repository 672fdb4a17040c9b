from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.gan.stylegan2.fir import FIR, TAPS

X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def by_definition(x: Tensor, up: int, down: int, padding: tuple[int, int]) -> Tensor:
    """Zeros between pixels, zeros around, the filter at every place, every `down`th of the results."""
    b, c, h, w = x.shape
    wide = x.new_zeros(b, c, h * up, w * up)
    wide[:, :, ::up, ::up] = x
    wide = F.pad(wide, (*padding, *padding))
    taps = torch.tensor(TAPS, dtype=x.dtype) / sum(TAPS)
    out = torch.stack([wide[:, :, i : wide.shape[2] - 3 + i] * taps[i] for i in range(4)]).sum(0)
    out = torch.stack([out[..., i : out.shape[3] - 3 + i] * taps[i] for i in range(4)]).sum(0)
    return out[:, :, ::down, ::down] * up**2


def test_each_way_is_the_filter_by_definition() -> None:
    fir = FIR().double()
    torch.testing.assert_close(fir.up(X), by_definition(X, 2, 1, (2, 1)))
    torch.testing.assert_close(fir.down(X), by_definition(X, 1, 2, (1, 1)))
    torch.testing.assert_close(fir.smooth(X, 2), by_definition(X, 1, 1, (2, 2)))
    torch.testing.assert_close(fir.smooth(X, 1, gain=4.0), 4 * by_definition(X, 1, 1, (1, 1)))


def test_a_constant_stays_away_from_the_edge() -> None:
    fir, ones = FIR(), torch.ones(1, 2, 8, 8)
    assert fir.up(ones)[..., 2:-2, 2:-2].sub(1).abs().max() < 1e-6
    assert fir.down(ones)[..., 1:-1, 1:-1].sub(1).abs().max() < 1e-6
    assert not FIR().state_dict(), "a constant of the method is no weight"


def test_derivatives_of_first_and_second_order_are_those_of_the_definition() -> None:
    fir = FIR().double()
    x = X[:1, :2].clone().requires_grad_()
    for way in (fir.up, fir.down, lambda x: fir.smooth(x, 2), lambda x: fir.smooth(x, 1, 4.0)):
        assert torch.autograd.gradcheck(way, x) and torch.autograd.gradgradcheck(way, x)
