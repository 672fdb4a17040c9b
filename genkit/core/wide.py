"""float64 where there is one."""

from __future__ import annotations

from torch import Tensor

WITHOUT_FLOAT64 = {"mps"}
"""Kinds of devices that refuse to make a float64 tensor: Apple's."""


def wide(x: Tensor) -> Tensor:
    """x in float64: where it lies, or on the CPU where its device has none."""
    return x.cpu().double() if x.device.type in WITHOUT_FLOAT64 else x.double()
