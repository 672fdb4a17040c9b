from __future__ import annotations

import pytest
import torch
from torch import nn

from genkit.layers.norm import untracked


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3 * 36)))


def buffers(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


@pytest.mark.parametrize("training", [True, False])
def test_outputs_stay_and_statistics_do_not_move(network, training):
    network.train()(torch.randn(4, 1, 8, 8))
    network.train(training)
    x, before = 3 + 2 * torch.randn(4, 1, 8, 8), buffers(network)
    with untracked(network):
        inside = network(x)
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())
    assert torch.equal(network(x), inside)
    changed = [name for name, buffer in network.named_buffers() if not torch.equal(buffer, before[name])]
    assert len(changed) == (6 if training else 0)


def test_training_mode_still_uses_the_batch(network):
    x = 3 + 2 * torch.randn(64, 1, 8, 8)
    with untracked(network):
        assert network.train()(x).mean().abs() < 1e-5


def test_tracking_comes_back_after_an_error_and_stays_off_where_it_was(network):
    network.append(nn.BatchNorm1d(3 * 36, track_running_stats=False))
    with pytest.raises(ZeroDivisionError), untracked(network):
        _ = 1 / 0
    assert [m.track_running_stats for m in network.modules() if hasattr(m, "track_running_stats")] == [
        True,
        True,
        False,
    ]
