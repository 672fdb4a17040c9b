"""An image as a condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from genkit.core.columns.column import Column
from genkit.core.errors import ConditionError, shown
from genkit.core.known import known
from genkit.core.randomness import Randomness


class Images(Column):
    """An image per sample, float32 in [-1, 1]. There is none to draw: it is given, or made of real samples.

    Args:
        shape: (C, H, W).
    """

    drawable = False

    def __init__(self, shape: Sequence[int]):
        self.shape = tuple(shape)

    @property
    def about(self) -> str:
        channels, height, width = self.shape
        colour = {1: "grey images", 3: "colour images"}.get(channels, f"images of {channels} channels")
        return f"{colour} of {height} x {width}"

    def misfit(self, name: str, offered: Column | None) -> str:
        if isinstance(offered, Images) and offered.shape == self.shape:
            return ""
        return f"takes {self.about} for {name!r}, but the data have {offered.about if offered else 'none'}"

    def draw(self, randomness: Randomness) -> Tensor:
        raise ConditionError(f"{self.about} cannot be drawn, they must be given")

    def check(self, name: str, value: Any, n: int) -> Tensor:
        """`value`, (C, H, W) or (rows, C, H, W) floats in [-1, 1], as (n, C, H, W) float32."""
        if not isinstance(value, Tensor) or not value.is_floating_point():
            got = str(value.dtype) if isinstance(value, Tensor) else shown(value)
            raise ConditionError(f"condition {shown(name)} takes {self.about}, floats in [-1, 1]; got {got}")
        x = value[None] if value.dim() == 3 else value
        if tuple(x.shape[1:]) != self.shape:
            raise ConditionError(f"condition {shown(name)} takes {self.about}, {list(self.shape)}; got {list(x.shape)}")
        if not known(x.abs().le(1).all()):
            raise ConditionError(
                f"condition {shown(name)} takes floats in [-1, 1]; got {x[~x.abs().le(1)][0].item():g}"
            )
        if len(x) not in (1, n):
            raise ConditionError(f"condition {shown(name)} needs one row per sample: {n} samples, {len(x)} images")
        return x.float().expand(n, *self.shape)
