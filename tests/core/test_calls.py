"""Functions and modules of somebody else's: whether they take a condition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genkit.core.calls import takes_condition


class Alone(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum(1)


class Both(nn.Module):
    def forward(self, x: Tensor, condition: Any) -> Tensor:
        return x.sum(1)


class Warm(nn.Module):
    def forward(self, x: Tensor, temperature: float = 1.0) -> Tensor:
        return x.sum(1) / temperature


def either(x: Tensor, y: Any = None) -> Tensor:
    return x


def anything(*given: Any) -> Any:
    return given


X = torch.zeros(2, 3)


@pytest.mark.parametrize(
    ("called", "takes"),
    [
        (Alone(), False),
        (Warm(), False),
        (torch.compile(Alone(), backend="eager"), False),
        (nn.DataParallel(Alone()), False),
        (torch.jit.trace(Alone(), X), False),
        (torch.jit.trace(Alone().forward, X), False),
        (lambda z: z, False),
        (lambda z, **others: z, False),
        (Both(), True),
        (torch.compile(Both(), backend="eager"), True),
        (nn.DataParallel(Both()), True),
        (either, True),
        (anything, True),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_condition_is_given_to_what_takes_one(called: Callable[..., Any], takes: bool) -> None:
    assert takes_condition(called) == takes
