from __future__ import annotations

import pytest
import torch
from torch import nn

from genkit.core.tensors import kind, load_into

OTHER_KINDS = [torch.int64, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn]


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floats_stand_for_each_other(dtype: torch.dtype) -> None:
    module = network()
    state = {k: v.to(dtype) if v.is_floating_point() else v.int() for k, v in network().state_dict().items()}
    load_into(module, state)
    got, want = module.state_dict(), network().state_dict()
    assert {k: v.dtype for k, v in got.items()} == {k: v.dtype for k, v in want.items()}
    assert module.state_dict()["0.weight"].equal(state["0.weight"].float())


@pytest.mark.parametrize("dtype", OTHER_KINDS)
def test_a_tensor_of_another_kind_is_refused_before_anything_is_loaded(dtype: torch.dtype) -> None:
    module = network()
    before = module[0].bias.clone()
    state = module.state_dict() | {"0.weight": torch.ones(3, 2).to(dtype), "0.bias": torch.ones(3)}
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(ValueError, match=rf"of another kind '0.weight \({name} instead of float32\)'"):
        load_into(module, state)
    assert module[0].bias.equal(before)


def test_a_float_is_no_count() -> None:
    state = network().state_dict() | {"1.num_batches_tracked": torch.tensor(3.5)}
    with pytest.raises(ValueError, match=r"num_batches_tracked .float32 instead of int64"):
        load_into(network(), state)


def test_what_does_not_stay_finite_is_refused() -> None:
    state = network().state_dict() | {"0.weight": torch.full((3, 2), 1e300, dtype=torch.float64)}
    with pytest.raises(ValueError, match=r"not finite '0.weight'"):
        load_into(network(), state)


def test_kinds() -> None:
    kinds = {"float16": "float", "int8": "integer", "bool": "boolean", "complex128": "complex"}
    assert all(kind(getattr(torch, dtype)) == name for dtype, name in kinds.items())
    assert kind(torch.float8_e5m2) == "float8_e5m2"
