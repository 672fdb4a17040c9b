"""Autoregressive flows that keep volumes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genkit.vae.hierarchical.flows import ShiftFlow, flow_pair
from genkit.vae.networks.gaussian import Flowed, Gaussian

SHAPE = (2, 3, 4)
D = 24


def jacobian(flow, z: Tensor) -> Tensor:
    return torch.autograd.functional.jacobian(lambda row: flow(row.view(1, *SHAPE)).flatten(), z.flatten())


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_shift_is_of_what_comes_before(mirrored: bool) -> None:
    """Row by row, in a row from the left, at a place by channel; mirrored from the last place to the first."""
    torch.manual_seed(0)
    slopes = jacobian(ShiftFlow(2, mirrored), torch.randn(1, *SHAPE)) - torch.eye(D)
    place = torch.arange(D).view(2, 12).T
    order = (place.flip(0) if mirrored else place).flatten()
    slopes = slopes[order][:, order]
    assert slopes.triu().abs().max() == 0
    assert (slopes.diagonal(-1).abs() > 0).sum() >= 6, "and of what comes just before"


def test_a_pair_keeps_volumes_and_lets_all_see_all() -> None:
    torch.manual_seed(0)
    flow, z = flow_pair(2), torch.randn(3, *SHAPE)
    slopes = jacobian(flow, z[:1])
    assert abs(slopes.double().slogdet().logabsdet.item()) < 1e-5
    assert slopes.triu(1).abs().sum() > 1e-3 and slopes.tril(-1).abs().sum() > 1e-3
    assert not torch.allclose(flow(z), z, atol=1e-3)


def test_a_flowed_posterior_has_the_density_of_its_base() -> None:
    torch.manual_seed(0)
    base, flow, noise = Gaussian(torch.randn(3, D), torch.randn(3, D)), flow_pair(2), torch.randn(3, D)
    z, log_q = Flowed(base, flow, SHAPE).drawn(noise)
    torch.testing.assert_close(z, flow(base.at(noise).view(3, *SHAPE)).flatten(1))
    torch.testing.assert_close(log_q, base.log_density(base.at(noise)))
