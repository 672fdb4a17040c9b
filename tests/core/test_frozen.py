from __future__ import annotations

import copy

import torch
from torch import nn

from genkit.core.frozen import freeze, is_frozen, learnable


def part() -> nn.Module:
    return freeze(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)))


def test_frozen_stays_in_eval_mode_whatever_is_around_it() -> None:
    whole = nn.Sequential(nn.Linear(2, 2), part())
    for module in (whole, copy.deepcopy(whole)):
        module.train()
        assert module[0].training and not any(m.training for m in module[1].modules())
        assert all(map(is_frozen, module[1].modules())) and not is_frozen(module[0])
        before = {k: v.clone() for k, v in module[1].state_dict().items()}
        module(torch.randn(5, 2))
        assert all(v.equal(before[k]) for k, v in module[1].state_dict().items())


def test_a_copy_is_frozen_by_itself() -> None:
    first = part()
    second = copy.deepcopy(first)
    assert second.train() is second and second[1].train() is second[1]


def test_only_the_rest_is_learnable() -> None:
    whole = nn.Sequential(nn.Linear(2, 2), part())
    assert [id(p) for p in learnable(whole)] == [id(p) for p in whole[0].parameters()]
    assert not learnable(whole[1]) and not any(p.requires_grad for p in whole[1].parameters())
