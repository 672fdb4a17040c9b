"""Conditions of samples, in columns by name, one value a sample: class labels, images."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from genkit.core.errors import ConditionError, RecipeError, shown, suggest
from genkit.core.randomness import Randomness

Condition = Mapping[str, Tensor]
"""Name -> one row per sample."""


NUMBER = "-?[0-9]{1,18}"
"""A text that is a whole number."""


Examples = Callable[[Randomness], Condition]
"""Conditions of real samples, drawn by row: values of one sample stay together."""


class Column(ABC):
    """A column of a condition: the values that one name takes.

    Attributes:
        drawable: whether a value can be drawn where none is given.
        names: of its values, in their order; may be empty.
    """

    drawable: bool = True
    names: tuple[str, ...] = ()

    @property
    @abstractmethod
    def about(self) -> str:
        """The values that it takes, in a few words."""

    @abstractmethod
    def check(self, name: str, value: Any, n: int) -> Tensor:
        """`value` as n rows; a single one is repeated.

        Raises:
            ConditionError: it is nothing that this column takes, by the column's `name`.
        """

    @abstractmethod
    def draw(self, randomness: Randomness) -> Tensor:
        """A row for each row of `randomness`, where the column is `drawable`."""

    @abstractmethod
    def misfit(self, name: str, offered: Column | None) -> str:
        """Why data with this column cannot teach this one: "takes ..., but the data have ..."; empty where they can."""


class Labels(Column):
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

    @property
    def about(self) -> str:
        return f"{self.classes} classes"

    def misfit(self, name: str, offered: Column | None) -> str:
        classes = offered.classes if isinstance(offered, Labels) else 0
        if classes == self.classes:
            return ""
        return f"takes {self.classes} classes of {name!r}, but the data have {classes}"

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
        if not bool(x.abs().le(1).all()):
            raise ConditionError(
                f"condition {shown(name)} takes floats in [-1, 1]; got {x[~x.abs().le(1)][0].item():g}"
            )
        if len(x) not in (1, n):
            raise ConditionError(f"condition {shown(name)} needs one row per sample: {n} samples, {len(x)} images")
        return x.float().expand(n, *self.shape)


def numbered(names: Sequence[str]) -> str:
    """'0: cat, 1: dog', or the names alone where they are their own numbers."""
    own = all(name == str(number) for number, name in enumerate(names))
    return ", ".join(name if own else f"{number}: {name}" for number, name in enumerate(names))


class ConditionSpace(Mapping[str, Column]):
    """The columns that a generator accepts, or data offer, by name; empty without any.

    Attributes:
        absent: reason why there is none, if one could be expected; for messages.
        examples: source of values that cannot be drawn, and of other missing values of their row; None refuses.
    """

    def __init__(self, columns: Mapping[str, Column] | None = None, absent: str = "", examples: Examples | None = None):
        self._columns, self.absent, self.examples = dict(columns or {}), absent, examples

    def __getitem__(self, name: str) -> Column:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def reason(self) -> str:
        """': why', to end a sentence that says that there is none."""
        return f": {self.absent}" if self.absent else ""

    @property
    def labels(self) -> Labels | None:
        """The column "label", where there is one."""
        found = self.get("label")
        return found if isinstance(found, Labels) else None

    @property
    def classes(self) -> int:
        """Number of classes of "label"; 0 without."""
        return self.labels.classes if self.labels else 0

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes of "label"; empty without."""
        return self.labels.names if self.labels else ()

    def with_class_names(self, names: Sequence[str]) -> ConditionSpace:
        """The same with other names for the classes of "label", if there are any.

        Raises:
            ConditionError: not one name a class.
        """
        named = {"label": Labels(self.classes, names)} if self.labels else {}
        return ConditionSpace({**self._columns, **named}, self.absent, self.examples)

    def with_examples(self, examples: Examples) -> ConditionSpace:
        """The same space, with values that cannot be drawn taken from `examples`."""
        return ConditionSpace(self._columns, self.absent, examples)

    def resolve(self, condition: Mapping[str, Any] | None, n: int, randomness: Randomness) -> dict[str, Tensor]:
        """One checked row per sample for every accepted name; missing ones are drawn.

        Raises:
            ConditionError: an unknown name, a wrong number of rows, a value out of range, or none where none is drawn.
        """
        given: Mapping[str, Tensor] = self.check(condition, n)
        needed = [name for name, column in self.items() if not column.drawable and name not in given]
        if needed and self.examples:
            found = self.examples(randomness)
            given = {**self.check({name: found[name] for name in self if name in found}, n), **given}
        elif needed:
            raise ConditionError(f"condition {needed[0]!r} must be given: {self[needed[0]].about}, one or one a sample")
        return {name: given[name] if name in given else column.draw(randomness) for name, column in self.items()}

    def check(self, condition: Mapping[str, Any] | None, n: int) -> dict[str, Tensor]:
        """The given values, one checked row per sample; raises as `resolve`."""
        given = dict(condition or {})
        for name in given:
            if name not in self:
                raise ConditionError(
                    f"this generator takes no condition {shown(name)}{self.reason or suggest(name, self)}"
                )
        return {name: self[name].check(name, value, n) for name, value in given.items()}


def check_classified(classifier: Any, sample_shape: tuple[int, ...], conditions: ConditionSpace) -> None:
    """Raises RecipeError when the data are not what the classifier tells apart."""
    wanted = tuple(classifier.sample_shape)
    if tuple(sample_shape) != wanted:
        raise RecipeError(f"data: samples are {list(sample_shape)}, but the classifier takes {list(wanted)}")
    offered = conditions.classes
    if offered != classifier.classes:
        raise RecipeError(
            f"data: the classifier has {classifier.classes} classes, but the data have {offered}{conditions.reason}"
        )
