"""What a generator can be asked for: class labels, and later attributes, controls, reference images."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from genkit.core.errors import ConditionError, shown, suggest
from genkit.core.randomness import Randomness

Condition = Mapping[str, Tensor]
"""Name -> one row per sample."""


NUMBER = "-?[0-9]{1,18}"
"""A text that is a whole number."""


class Labels:
    """One of `classes` classes per sample, int64 in [0, classes).

    Args:
        classes: number of classes, at least 2.
        names: one name a class, in the order of their numbers. A text is a name wherever a label is given, an int
            always a number; see `number`.
    """

    def __init__(self, classes: int, names: Sequence[str] = ()):
        if classes < 2:
            raise ConditionError(f"labels need at least 2 classes, got {classes}")
        if names and len(names) != classes:
            raise ConditionError(f"{classes} classes need {classes} names, got {len(names)}")
        self.classes, self.names = classes, tuple(names)

    def draw(self, randomness: Randomness) -> Tensor:
        return randomness.integers(self.classes)

    def number(self, label: str, name: str = "label") -> int:
        """The class called `label`, else the number that `label` is the text of.

        Where the names are numbers themselves, and not those of their classes, only they are taken: of classes called
        1, 2 and 3, number 1 would be the one called 2.

        Raises:
            ConditionError: neither, with the nearest name.
        """
        if label in self.names:
            return self.names.index(label)
        number = re.fullmatch(NUMBER, label)
        if number and not self._misnumbered:
            return int(label)
        if number:
            names = ", ".join(self.names)
            raise ConditionError(f"condition {name!r}: no class is called {label}; they are called {names}")
        if self.names:
            raise ConditionError(f"condition {name!r}: no class is called {label!r:.60}{suggest(label, self.names)}")
        raise ConditionError(f"condition {name!r} takes whole numbers, got {label!r:.60}")

    def check(self, name: str, value: Any, n: int) -> Tensor:
        """`value`, numbers or names of classes, as (n,) int64; a single label is repeated."""
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
        if n and (int(label.min()) < 0 or int(label.max()) >= self.classes):
            bad = label[(label < 0) | (label >= self.classes)][0].item()
            raise ConditionError(f"condition {shown(name)} takes 0 to {self.classes - 1}, got {bad}")
        return label.clone()

    @property
    def _misnumbered(self) -> bool:
        """Whether all names are whole numbers, and not each the number of its class."""
        numbers = [int(name) for name in self.names if re.fullmatch(NUMBER, name)]
        return len(numbers) == len(self.names) and numbers != list(range(len(numbers)))

    def _numbers(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            return self.number(value, name)
        if isinstance(value, (list, tuple)):
            return [self.number(label, name) if isinstance(label, str) else label for label in value]
        return value


def numbered(names: Sequence[str]) -> str:
    """'0: cat, 1: dog', or the names alone where they are their own numbers."""
    own = all(name == str(number) for number, name in enumerate(names))
    return ", ".join(name if own else f"{number}: {name}" for number, name in enumerate(names))


class ConditionSpace(Mapping[str, Labels]):
    """The names a generator accepts, or data offer, and what each takes; empty without any.

    Attributes:
        absent: why there is none, where one could be expected; for messages.
    """

    def __init__(self, spaces: Mapping[str, Labels] | None = None, absent: str = ""):
        self._spaces, self.absent = dict(spaces or {}), absent

    def __getitem__(self, name: str) -> Labels:
        return self._spaces[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._spaces)

    def __len__(self) -> int:
        return len(self._spaces)

    @property
    def reason(self) -> str:
        """': why', to end a sentence that says that there is none."""
        return f": {self.absent}" if self.absent else ""

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes of "label" are called; empty without names."""
        return self._spaces["label"].names if "label" in self else ()

    def with_class_names(self, names: Sequence[str]) -> ConditionSpace:
        """The same with other names for the classes of "label", if there are any.

        Raises:
            ConditionError: not one name a class.
        """
        named = {"label": Labels(self["label"].classes, names)} if "label" in self else {}
        return ConditionSpace({**self._spaces, **named}, self.absent)

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
                raise ConditionError(
                    f"this generator takes no condition {shown(name)}{self.reason or suggest(name, self)}"
                )
        return {name: self[name].check(name, value, n) for name, value in given.items()}
