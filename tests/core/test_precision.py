from __future__ import annotations

import pytest
import torch
from torch import nn

from genkit.core.nearest import nearest
from genkit.core.precision import KeepsFloat64, wide
from genkit.core.randomness import Rows
from tests.contracts.no_float64 import REFUSAL, without_float64


class Kept(KeepsFloat64):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.ones(2, dtype=torch.float64))
        self.inner = nn.Linear(2, 2)


def test_float64_is_on_the_device_where_it_has_it() -> None:
    x = torch.ones(2)
    assert wide(x).dtype == torch.float64 and wide(x).device == x.device


def test_else_it_is_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    with without_float64(monkeypatch) as device:
        x = torch.ones(4, 2, device=device)
        with pytest.raises(TypeError, match=REFUSAL[:40]):
            x.double()
        found = wide(x)
        assert found.dtype == torch.float64 and found.device.type == "cpu"
        where, squared = nearest(x, x, 2)
        assert where.device == device and squared.dtype == torch.float64
        rows = Rows(3, torch.Generator(), device)
        assert rows.uniform(dtype=torch.float64).device.type == "cpu" and rows.uniform().device == device


def test_modules_keep_what_the_device_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with without_float64(monkeypatch) as device:
        made = nn.Sequential(Kept()).to(device)
        assert made[0].table.device.type == "cpu" and made[0].inner.weight.device == device
    assert Kept().to(torch.float32).table.dtype == torch.float32, "on the CPU everything moves as ever"
