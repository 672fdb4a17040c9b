"""Bounded real numbers: an age, an angle, a hue."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from genkit.core.columns.column import FREE, Column, in_turn
from genkit.core.errors import BeyondTraining, ConditionError, shown, some
from genkit.core.known import known
from genkit.core.precision import wide
from genkit.core.randomness import Randomness

UNASKED = math.nan
"""The row of a free column that leaves the number to the generator."""
NAMED = 4
"""Numbers that a warning names at most."""


class Values(Column):
    """A real number per sample, float32 in [low, high].

    Args:
        low, high: the range; of a cyclic one the period is high - low, and `high` is `low`.
        cyclic: whether a number and the same a period further are one, as hues and angles are.
        unit: what it is counted in, such as "deg"; for people.
        free: whether the generator may choose; nan then leaves a row to it, and a number beyond the range is taken with
            a warning.

    Raises:
        ConditionError: no range.
    """

    def __init__(self, low: float, high: float, cyclic: bool = False, unit: str = "", free: bool = False):
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ConditionError(f"numbers need a finite range, low below high; got {low:g} to {high:g}")
        self.low, self.high, self.cyclic, self.unit, self.free = float(low), float(high), cyclic, unit, free

    @property
    def span(self) -> float:
        """high - low, the period of a cyclic one."""
        return self.high - self.low

    @property
    def deviation(self) -> float:
        """Standard deviation of uniform numbers of the range."""
        return self.span / math.sqrt(12)

    def on_circle(self, rows: Tensor) -> Tensor:
        """Numbers (B,) as points (cos, sin) of the unit circle, (B, 2), once around for the span."""
        angle = (rows - self.low) * (2 * math.pi / self.span)
        return torch.stack([angle.cos(), angle.sin()], 1)

    @property
    def about(self) -> str:
        numbers = "numbers on a circle" if self.cyclic else "numbers"
        return f"{numbers} from {self.low:g} to {self.shown(self.high)}" + (", or free" if self.free else "")

    def shown(self, value: float) -> str:
        """`value` with its unit, in six digits."""
        return f"{value:.6g} {self.unit}".rstrip()

    def misfit(self, name: str, offered: Column | None) -> str:
        """As of every column; a range inside this one teaches it, but on a circle only the same one does."""
        if isinstance(offered, Values) and self._spans(offered) and len({self.unit, offered.unit} - {""}) < 2:
            return ""
        return f"takes {self.about} for {name!r}, but the data have {offered.about if offered else 'none'}"

    def _spans(self, other: Values) -> bool:
        if self.cyclic or other.cyclic:
            return (self.low, self.high, self.cyclic) == (other.low, other.high, other.cyclic)
        return self.low <= other.low and other.high <= self.high

    def asked(self, rows: Tensor) -> Tensor:
        return ~rows.isnan()

    def draw(self, randomness: Randomness) -> Tensor:
        """Uniform."""
        if self.free:
            return randomness.draw(lambda n, rng: torch.full((n,), UNASKED))
        return self.wrapped(self.low + self.span * randomness.uniform())

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """|a - b|, the shorter way round where they lie on a circle."""
        apart = (a - b).abs()
        if not self.cyclic:
            return apart
        apart = apart % self.span
        return torch.minimum(apart, self.span - apart)

    def check(self, name: str, value: Any, n: int) -> Tensor:
        """`value`, a number or a text of one, or a list of either, as (n,) float32; a single one is repeated, and of a
        text the numbers between commas are taken in turn."""
        if isinstance(value, str) and len(parts := self.listed(value)) > 1:
            return in_turn(self.check(name, parts, len(parts)), n)
        rows = self._numbers(name, value)
        if len(rows) == 1:
            rows = rows.expand(n)
        if len(rows) != n:
            raise ConditionError(f"condition {shown(name)} needs one row per sample: {n} samples, {len(rows)} numbers")
        if not self.cyclic:
            self._check_range(name, rows)
        elif self.free:
            self._remark_turns(name, rows)
        return self.wrapped(rows).float().clone()

    def _numbers(self, name: str, value: Any) -> Tensor:
        """(rows,) float64, finite where they ask for something."""
        plain = (
            [self._number(name, v) for v in value] if isinstance(value, (list, tuple)) else self._number(name, value)
        )
        try:
            rows = torch.as_tensor(plain).flatten()
        except (TypeError, ValueError, RuntimeError) as misfit:
            raise ConditionError(f"condition {shown(name)} takes numbers, got {shown(value)}") from misfit
        if rows.is_complex() or rows.dtype == torch.bool:
            raise ConditionError(f"condition {shown(name)} takes numbers, got {rows.dtype}")
        rows = wide(rows)
        bad = rows.isinf() if self.free else ~rows.isfinite()
        if bad.any():
            raise ConditionError(f"condition {shown(name)} takes {self.about}; got {rows[bad][0].item():g}")
        return rows

    def _number(self, name: str, value: Any) -> Any:
        """The number in a text; anything else as it is."""
        if not isinstance(value, str):
            return value
        if self.free and value == FREE:
            return UNASKED
        try:
            number = float(value)
        except ValueError:
            raise ConditionError(f"condition {shown(name)} takes {self.about}; got {shown(value)}") from None
        if not math.isfinite(number):
            raise ConditionError(f"condition {shown(name)} takes {self.about}; got {shown(value)}, which is not finite")
        return number

    def _check_range(self, name: str, rows: Tensor) -> None:
        beyond = (rows.float() < torch.tensor(self.low)) | (rows.float() > torch.tensor(self.high))
        if known(~beyond.any()):
            return
        found = rows[beyond].unique().tolist()
        if not self.free:
            raise ConditionError(f"condition {shown(name)} takes {self.about}; got {self.shown(found[0])}")
        got = some([self.shown(value) for value in found[: NAMED + 1]], NAMED)
        are = "is" if len(found) == 1 else "are"
        message = (
            f"condition {shown(name)}: {got} {are} beyond what was learned, {self.low:g} to {self.shown(self.high)}"
        )
        warnings.warn(BeyondTraining(message), stacklevel=2)

    def _remark_turns(self, name: str, rows: Tensor) -> None:
        """A number several times round the circle was counted in another unit, most likely."""
        beyond = (rows < self.low - self.span) | (rows > self.high + self.span)
        if known(~beyond.any()):
            return
        got, taken = (self.shown(part[beyond][0].item()) for part in (rows, self.wrapped(rows)))
        circle = f"{self.low:g} to {self.shown(self.high)} is once round the circle"
        warnings.warn(BeyondTraining(f"condition {shown(name)}: {got} is taken as {taken}; {circle}"), stacklevel=2)

    def wrapped(self, rows: Tensor) -> Tensor:
        """On a circle the same in [low, high), float32; else as they are."""
        if not self.cyclic:
            return rows
        rows = (self.low + (wide(rows) - self.low) % self.span).float().to(rows.device)
        return torch.where(rows >= self.high, self.low, rows)
