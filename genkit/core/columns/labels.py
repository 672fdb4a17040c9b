"""Classes with names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from unicodedata import normalize

import torch
from torch import Tensor

from genkit.core.columns.column import FREE, Column, in_turn
from genkit.core.errors import ConditionError, shown, suggest
from genkit.core.known import known
from genkit.core.randomness import Randomness

NUMBER = "-?[0-9]{1,18}"
"""A text that is a whole number."""

WIDE = 8
"""Columns of a picture that few classes fill."""

UNASKED = -1
"""The row of a free column that leaves the class to the generator."""


def plain(name: str) -> str:
    """A class' name as it is compared: without case, spaces at its ends and what follows a slash (T-shirt/top)."""
    return name.partition("/")[0].strip().casefold()


class Labels(Column):
    """One of `classes` classes per sample, int64 in [0, classes).

    Args:
        classes: number of classes, at least 2.
        names: one name a class, in the order of their numbers. A text is a name wherever a label is given, an int
            always a number; see `number`.
        free: whether the generator may choose; -1 then leaves a row to it.
    """

    def __init__(self, classes: int, names: Sequence[str] = (), free: bool = False):
        if classes < 2:
            raise ConditionError(f"labels need at least 2 classes, got {classes}")
        if names and len(names) != classes:
            raise ConditionError(f"{classes} classes need {classes} names, got {len(names)}")
        self.classes, self.names, self.free = classes, tuple(names), free

    @property
    def about(self) -> str:
        return f"{self.classes} classes" + (", or free" if self.free else "")

    def asked(self, rows: Tensor) -> Tensor:
        return rows != UNASKED

    def misfit(self, name: str, offered: Column | None) -> str:
        classes = offered.classes if isinstance(offered, Labels) else 0
        if classes == self.classes:
            return ""
        return f"takes {self.classes} classes of {name!r}, but the data have {classes}"

    def draw(self, randomness: Randomness) -> Tensor:
        if self.free:
            return randomness.draw(lambda n, rng: torch.full((n,), UNASKED))
        return randomness.integers(self.classes)

    def number(self, label: str, name: str = "label") -> int:
        """The class called `label`, else the number that `label` is the text of; -1 of "free" where it may be.

        Where the names are numbers themselves, and not those of their classes, only they are taken: of classes called
        1, 2 and 3, number 1 would be the one called 2.

        Raises:
            ConditionError: neither, with the nearest name.
        """
        written, called = normalize("NFC", label), [normalize("NFC", name) for name in self.names]
        if written in called:
            return called.index(written)
        if self.free and label == FREE:
            return UNASKED
        number = re.fullmatch(NUMBER, label)
        if number and int(label) < 0 and not self._misnumbered:
            raise ConditionError(f"condition {name!r} takes 0 to {self.classes - 1}, got {label}")
        if number and not self._misnumbered:
            return int(label)
        if number:
            names = ", ".join(self.names)
            raise ConditionError(f"condition {name!r}: no class is called {label}; they are called {names}")
        if self.names:
            raise ConditionError(f"condition {name!r}: no class is called {label!r:.60}{suggest(label, self.names)}")
        raise ConditionError(f"condition {name!r} takes whole numbers, got {label!r:.60}")

    def check(self, name: str, value: Any, n: int) -> Tensor:
        """`value`, numbers or names of classes, as (n,) int64; a single label is repeated, and of a text the labels
        between commas are taken in turn."""
        if isinstance(value, str) and len(parts := self.listed(value)) > 1:
            if "" in parts:
                raise ConditionError(f"condition {shown(name)}: an empty label between commas in {shown(value)}")
            return in_turn(self.check(name, parts, len(parts)), n)
        value = self._numbers(name, value)
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
        bad = (label < (UNASKED if self.free else 0)) | (label >= self.classes)
        if not known(~bad.any()):
            raise ConditionError(f"condition {shown(name)} takes 0 to {self.classes - 1}, got {label[bad][0].item()}")
        return label.clone()

    @property
    def _misnumbered(self) -> bool:
        """Whether all names are whole numbers, and not each the number of its class."""
        numbers = [int(name) for name in self.names if re.fullmatch(NUMBER, name)]
        return len(numbers) == len(self.names) and numbers != list(range(len(numbers)))

    def _numbers(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            return self.number(value if value in self.names else value.strip(), name)
        if isinstance(value, (list, tuple)):
            return [self.number(label, name) if isinstance(label, str) else label for label in value]
        return value


def numbered(names: Sequence[str]) -> str:
    """'0: cat, 1: dog', or the names alone where they are their own numbers."""
    own = all(name == str(number) for number, name in enumerate(names))
    return ", ".join(name if own else f"{number}: {name}" for number, name in enumerate(names))


def columns_each(values: int) -> int:
    """Columns of a picture for each of so many values: few have several, up to `WIDE` in all."""
    return max(1, WIDE // values) if values else 0
