"""Precision of single parts, whatever that of the training: float64 where there is one, float32 under autocast."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

WITHOUT_FLOAT64 = {"mps"}
"""Kinds of devices that refuse to make a float64 tensor: Apple's."""


def wide(x: Tensor) -> Tensor:
    """x in float64: where it lies, or on the CPU where its device has none."""
    return x.cpu().double() if x.device.type in WITHOUT_FLOAT64 else x.double()


def full(x: Tensor) -> Tensor:
    """x as losses are computed under autocast: in float32, but float64 as it is."""
    return x if x.dtype == torch.float64 else x.float()


class KeepsFloat64(nn.Module):
    """A module whose float64 buffers stay on the CPU where the device that it is moved to has none."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        return super()._apply(partial(_where_it_can, fn), recurse)  # type: ignore[no-any-return]


def _where_it_can(move: Callable[[Tensor], Tensor], x: Tensor) -> Any:
    try:
        return move(x)
    except TypeError:  # torch's refusal to make a float64 tensor
        if x.dtype != torch.float64:
            raise
        return x


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """No autocast inside, on the device of `x`; the meta device has none."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)
