"""What a generator can be asked for: class labels, and later attributes, controls, reference images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from genkit.errors import ConditionError, shown, suggest
from genkit.randomness import Randomness

Condition = Mapping[str, Tensor]
"""Name -> one row per sample."""


class Labels:
    """One of `classes` classes per sample, int64 in [0, classes).

    Args:
        classes: number of classes, at least 2.
        names: one name a class, for tables and grids.
    """

    def __init__(self, classes: int, names: Sequence[str] = ()):
        if classes < 2:
            raise ConditionError(f"labels need at least 2 classes, got {classes}")
        if names and len(names) != classes:
            raise ConditionError(f"{classes} classes need {classes} names, got {len(names)}")
        self.classes, self.names = classes, tuple(names)

    def draw(self, randomness: Randomness) -> Tensor:
        return randomness.integers(self.classes)

    def check(self, name: str, value: Any, n: int) -> Tensor:
        """`value` as (n,) int64; a single label is repeated."""
        try:
            label = torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError) as misfit:
            raise ConditionError(f"condition {shown(name)} takes whole numbers, got {shown(value)}") from misfit
        if label.is_floating_point() or label.is_complex():
            raise ConditionError(f"condition {shown(name)} takes whole numbers, got {label.dtype}")
        label = label.long().flatten()
        if len(label) == 1:
            label = label.expand(n)
        if len(label) != n:
            raise ConditionError(f"condition {shown(name)} needs one row per sample: {n} samples, {len(label)} labels")
        if n and (int(label.min()) < 0 or int(label.max()) >= self.classes):
            bad = label[(label < 0) | (label >= self.classes)][0].item()
            raise ConditionError(f"condition {shown(name)} takes 0 to {self.classes - 1}, got {bad}")
        return label.clone()


class ConditionSpace(Mapping[str, Labels]):
    """The names a generator accepts and what each takes; empty when it is unconditional."""

    def __init__(self, spaces: Mapping[str, Labels] | None = None):
        self._spaces = dict(spaces or {})

    def __getitem__(self, name: str) -> Labels:
        return self._spaces[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._spaces)

    def __len__(self) -> int:
        return len(self._spaces)

    def resolve(self, condition: Mapping[str, Any] | None, n: int, randomness: Randomness) -> dict[str, Tensor]:
        """One checked row per sample for every accepted name; what is not given is drawn.

        Raises:
            ConditionError: an unknown name, a wrong number of rows or a value out of range.
        """
        given = self.check(condition, n)
        return {name: given[name] if name in given else space.draw(randomness) for name, space in self.items()}

    def check(self, condition: Mapping[str, Any] | None, n: int) -> dict[str, Tensor]:
        """What is given, one checked row per sample; raises as `resolve`."""
        given = dict(condition or {})
        for name in given:
            if name not in self:
                raise ConditionError(f"this generator takes no condition {shown(name)}{suggest(name, self)}")
        return {name: self[name].check(name, value, n) for name, value in given.items()}
