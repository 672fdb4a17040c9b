"""Probabilities of classes as a condition: what a classifier says of an image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.core.columns.column import Column
from genkit.core.columns.labels import NUMBER, Labels
from genkit.core.errors import ConditionError, shown
from genkit.core.known import known
from genkit.core.randomness import Randomness

TOLERANCE = 1e-3
"""By how much the sum of a row may differ from one."""


class Probabilities(Column):
    """The probability of each of `classes` classes, (n, classes) float32: not negative, and one in sum.

    A text is `0.2/0.8`, or the name or number of a class that is certain; what is not given is drawn uniformly.

    Args:
        classes: number of classes, at least 2.
        names: one name a class, in the order of their numbers.
    """

    def __init__(self, classes: int, names: Sequence[str] = ()):
        self.labels = Labels(classes, names)
        self.classes, self.names = classes, self.labels.names

    @property
    def about(self) -> str:
        return f"probabilities of {self.classes} classes"

    def misfit(self, name: str, offered: Column | None) -> str:
        if isinstance(offered, Probabilities) and offered.classes == self.classes:
            return ""
        return f"takes {self.about} for {name!r}, but the data have {offered.about if offered else 'none'}"

    def draw(self, randomness: Randomness) -> Tensor:
        """Uniform on the simplex."""
        lengths = (-torch.log1p(-randomness.uniform(self.classes))).clamp_min(1e-12)
        return lengths / lengths.sum(1, keepdim=True)

    def check(self, name: str, value: Any, n: int) -> Tensor:
        """`value` as (n, classes) float32; a single row is repeated.

        It is floats (classes,) or (rows, classes), whole numbers (rows,) of classes that are certain, a text, or a list
        of texts.
        """
        rows = self._rows(name, value)
        if rows.dim() != 2 or rows.shape[1] != self.classes or len(rows) not in (1, n):
            raise ConditionError(
                f"condition {shown(name)} takes {self.about}, one row or one a sample: {n} samples; "
                f"got {list(rows.shape)}"
            )
        bad = ~((rows >= 0).all(1) & ((rows.sum(1) - 1).abs() <= TOLERANCE))
        if not known(~bad.any()):
            got = "/".join(f"{p:g}" for p in rows[bad][0][:8].tolist())
            raise ConditionError(f"condition {shown(name)} takes {self.about}, one in sum; got {got}")
        return rows.float().expand(n, -1).clone()

    def _rows(self, name: str, value: Any) -> Tensor:
        if isinstance(value, str):
            return self._row(name, value)[None]
        if isinstance(value, (list, tuple)) and value and all(isinstance(part, str) for part in value):
            return torch.stack([self._row(name, part) for part in value])
        try:
            rows = torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError) as misfit:
            raise ConditionError(f"condition {shown(name)} takes {self.about}, got {shown(value)}") from misfit
        if not rows.is_floating_point():
            return self._certain(self.labels.check(name, rows, rows.numel()))
        return rows[None] if rows.dim() == 1 else rows

    def _row(self, name: str, text: str) -> Tensor:
        """(classes,) of a text."""
        if text in self.names or re.fullmatch(NUMBER, text):
            return self._certain(self.labels.check(name, text, 1))[0]
        parts = text.split("/")
        if len(parts) < 2:
            return self._certain(self.labels.check(name, text, 1))[0]  # an unknown name, refused with the nearest
        try:
            row = torch.tensor([float(part) for part in parts])
        except ValueError as misfit:
            raise ConditionError(f"condition {shown(name)} takes {self._example}; got {shown(text)}") from misfit
        if len(row) != self.classes:
            raise ConditionError(f"condition {shown(name)} takes {self.classes} probabilities; got {shown(text)}")
        return row

    @property
    def _example(self) -> str:
        """Of a text that is accepted."""
        return f"{self.about} such as {'/'.join(['0.5'] * 2 + ['0'] * (self.classes - 2))[:40]}"

    def _certain(self, label: Tensor) -> Tensor:
        return F.one_hot(label, self.classes).float()
