from __future__ import annotations

import pytest
import torch
from torch import nn

from genkit.core.frozen import freeze
from genkit.training.ema import EMA, HalfLife


def module(value: float) -> nn.Module:
    made = nn.BatchNorm1d(2)
    with torch.no_grad():
        made.weight.fill_(value)
        made.running_mean.fill_(value)
    return made


def test_parameters_are_averaged_and_buffers_copied() -> None:
    source, mean = module(0.0), 0.0
    ema = EMA(source, 0.5)
    for step, value in enumerate([1.0, 2.0, 5.0, 3.0, 7.0, 1.0, 2.0, 9.0, 4.0, 4.0]):
        decay = min(0.5, (1 + step) / (10 + step))
        mean = decay * mean + (1 - decay) * value
        source.load_state_dict(module(value).state_dict())
        ema.update(step)
        torch.testing.assert_close(ema.module.weight, torch.full((2,), mean))
        assert ema.module.running_mean.tolist() == [value, value]
        assert ema.module.num_batches_tracked == 0
    assert (1 + 9) / (10 + 9) > 0.5, "the ramp has ended"


def test_no_decay_is_a_copy_and_the_first_weights_are_left_quickly() -> None:
    first, source = module(3.0), module(0.0)
    ema, slow = EMA(first, 0.0), EMA(source, 0.9999)
    first.load_state_dict(module(1.7).state_dict())
    ema.update(0)
    assert ema.module.weight.equal(module(1.7).weight)
    source.load_state_dict(module(1.0).state_dict())
    slow.update(0)
    assert slow.module.weight[0].item() == pytest.approx(0.9)


def test_the_copy_is_separate_frozen_and_in_eval_mode() -> None:
    source = module(1.0).train()
    ema = EMA(source, 0.9)
    assert not ema.module.training and not any(p.requires_grad for p in ema.module.parameters())
    ema.update(3)
    assert source.weight.tolist() == [1, 1] and source.training and ema.module.weight is not source.weight


def test_a_buffer_that_is_put_in_place_of_another_is_copied_too() -> None:
    source = module(1.0)
    ema = EMA(source, 0.9)
    source.running_mean = torch.full((2,), 7.0)
    ema.update(0)
    assert ema.module.running_mean.tolist() == [7, 7]


def test_a_frozen_part_is_shared_and_not_averaged() -> None:
    source = nn.ModuleList([module(1.0), freeze(module(5.0))])
    ema = EMA(source, 0.5)
    assert ema.module[1] is source[1] and ema.module[0] is not source[0]
    with torch.no_grad():
        source[0].weight.fill_(2.0)
    ema.update(3)
    assert ema.module[0].weight.tolist() == pytest.approx([2 - 4 / 13] * 2) and ema.module[1].weight.tolist() == [5, 5]


def test_a_half_life_halves_the_first_weights_after_so_many_images() -> None:
    source = module(1.0)
    ema = EMA(source, HalfLife(images=80, batch=8))
    source.load_state_dict(module(0.0).state_dict())
    for step in range(30):
        ema.update(step)
        assert ema.module.weight[0].item() == pytest.approx(0.5 ** ((step + 1) / 10))


def test_a_ramp_forgets_the_first_weights() -> None:
    decay = HalfLife(images=80, batch=8, ramp=0.05)
    assert [decay(0), decay(1)] == [0.0, pytest.approx(0.5**20)]
    assert decay(100) == pytest.approx(0.5 ** (8 / 40)) and decay(500) == decay(10**6) == pytest.approx(0.5**0.1)
