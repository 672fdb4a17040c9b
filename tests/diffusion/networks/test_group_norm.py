"""The quick GroupNorm equals torch's: values, gradients, second derivatives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.diffusion.networks import group_norm as module
from genkit.diffusion.networks.group_norm import MapNorm, scaled_group_norm

CLOSE = {"rtol": 1e-4, "atol": 2e-5}


@pytest.fixture(autouse=True)
def every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALL", 0)


def maps(batch: int = 3, channels: int = 8, height: int = 5, width: int = 4, *, last: bool = True) -> Tensor:
    x = 2 * torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(0)) + 1
    return x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format).requires_grad_()


def norm(groups: int = 4) -> MapNorm:
    new = MapNorm(groups, 8, 1e-3)
    torch.nn.init.normal_(new.weight)
    torch.nn.init.normal_(new.bias)
    return new


def plainly(x: Tensor, norm: MapNorm, scale: Tensor, shift: Tensor) -> Tensor:
    normal = F.group_norm(x.contiguous(), norm.num_groups, norm.weight, norm.bias, norm.eps)
    return normal * (1 + scale[:, :, None, None]) + shift[:, :, None, None]


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("groups", [1, 4, 8])
def test_values_and_gradients(last: bool, groups: int) -> None:
    x, scale, shift = maps(last=last), torch.randn(3, 8, requires_grad=True), torch.randn(3, 8, requires_grad=True)
    zero, mine, g = torch.zeros(3, 8), norm(groups), torch.randn(x.shape)
    wanted = (x, scale, shift, mine.weight, mine.bias)
    quick, plain = (f(x, mine, scale, shift) for f in (scaled_group_norm, plainly))
    torch.testing.assert_close(quick, plain, **CLOSE)
    torch.testing.assert_close(mine(x), plainly(x, mine, zero, zero), **CLOSE)
    for ours, theirs in zip(*(torch.autograd.grad(y, wanted, g) for y in (quick, plain)), strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)


def test_layout_is_kept_and_the_quick_way_taken() -> None:
    y = norm()(maps())
    assert y.is_contiguous(memory_format=torch.channels_last) and "ChannelsLast" in y.grad_fn.name()
    assert "ChannelsLast" not in norm()(maps(last=False)).grad_fn.name()


def test_second_derivatives() -> None:
    x, scale, shift = maps(), torch.randn(3, 8, requires_grad=True), torch.randn(3, 8, requires_grad=True)
    of_slope, mine = [], norm()
    for f in (scaled_group_norm, plainly):
        (slope,) = torch.autograd.grad(f(x, mine, scale, shift).sin().sum(), x, create_graph=True)
        of_slope.append(torch.autograd.grad(slope.square().sum(), (x, scale, shift, mine.weight)))
    for ours, theirs in zip(*of_slope, strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)


def test_equal_pixels_are_no_division_by_zero() -> None:
    x = torch.full((2, 8, 4, 4), 1000.3).contiguous(memory_format=torch.channels_last)
    y = MapNorm(4, 8)(x)
    assert torch.isfinite(y).all() and y.abs().max() < 0.1


def test_samples_do_not_depend_on_their_batch() -> None:
    x, mine = maps(7), norm()
    torch.testing.assert_close(mine(x[2:3]), mine(x)[2:3], rtol=0, atol=1e-6)


def test_a_module_shares_the_parameters() -> None:
    theirs = torch.nn.GroupNorm(4, 8)
    torch.nn.init.normal_(theirs.weight)
    ours, x = MapNorm.of(theirs), maps()
    assert ours.weight is theirs.weight and ours.state_dict().keys() == theirs.state_dict().keys()
    torch.testing.assert_close(ours(x), theirs(x), **CLOSE)
