"""Functions and modules of somebody else's: whether they take a condition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genkit.core.calls import asked, takes_condition


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


def masked(x: Tensor, mask: Any = None) -> Any:
    return x if mask is None else x * mask


def by_name(x: Tensor, *, condition: Any = None) -> Any:
    return condition


def wrapped(*given: Any, **named: Any) -> Any:
    return (lambda x: x)(*given, **named)


def test_without_a_condition_only_what_must_be_given_is() -> None:
    assert asked(masked, X, {}) is X and asked(wrapped, X, {}) is X
    assert asked(Both(), X, {}).shape == (2,) and asked(Warm(), X, {"label": X}).shape == (2,)
    assert asked(by_name, X, {"label": 1}) == {"label": 1} and asked(by_name, X, {}) == {}
