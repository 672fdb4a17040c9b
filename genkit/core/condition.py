"""Conditions of samples, in columns by name, one value a sample: class labels, images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from genkit.core.columns.column import Column
from genkit.core.columns.labels import Labels
from genkit.core.errors import ConditionError, RecipeError, shown, suggest
from genkit.core.randomness import Randomness

Condition = Mapping[str, Tensor]
"""Name -> one row per sample."""

Examples = Callable[[Randomness], Condition]
"""Conditions of real samples, drawn by row: values of one sample stay together."""


class ConditionSpace(Mapping[str, Column]):
    """The columns that a generator accepts, or data offer, by name; empty without any.

    Attributes:
        absent: reason why there is none, if one could be expected; for messages.
        examples: source of values that cannot be drawn, and of other missing values of their row; None refuses.
        exemplary: names of columns that could be drawn, and are taken from the examples nevertheless.
    """

    def __init__(
        self,
        columns: Mapping[str, Column] | None = None,
        absent: str = "",
        examples: Examples | None = None,
        exemplary: Sequence[str] = (),
    ):
        self._columns, self.absent = dict(columns or {}), absent
        self.examples, self.exemplary = examples, tuple(exemplary)

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
        named = {"label": Labels(self.classes, names, self.labels.free)} if self.labels else {}
        return ConditionSpace({**self._columns, **named}, self.absent, self.examples, self.exemplary)

    def with_examples(self, examples: Examples, exemplary: Sequence[str] = ()) -> ConditionSpace:
        """The same space, with values that cannot be drawn, and those of `exemplary`, taken from `examples`."""
        return ConditionSpace(self._columns, self.absent, examples, exemplary)

    def resolve(self, condition: Mapping[str, Any] | None, n: int, randomness: Randomness) -> dict[str, Tensor]:
        """One checked row per sample for every accepted name; missing ones are drawn.

        Raises:
            ConditionError: an unknown name, a wrong number of rows, a value out of range, or none where none is drawn.
        """
        given: Mapping[str, Tensor] = self.check(condition, n)
        taken = (name for name, column in self.items() if not column.drawable or name in self.exemplary)
        needed = [name for name in taken if name not in given]
        if needed and self.examples:
            found = self.examples(randomness)
            given = {**self.check({name: found[name] for name in self if name in found}, n), **given}
        elif needed:
            raise ConditionError(f"condition {needed[0]!r} must be given: {self[needed[0]].about}, one or one a sample")
        return {name: given[name] if name in given else column.draw(randomness) for name, column in self.items()}

    def misfit(self, offered: ConditionSpace, made: Collection[str] = (), leaves_free: bool = True) -> str:
        """The reason why what data offer is not what a generator of these columns is asked for; "" where it is.

        Args:
            made: names of columns that the generator makes itself.
            leaves_free: a free column need not be offered.
        """
        for name, column in self.items():
            if name in made or (leaves_free and column.free and name not in offered):
                continue
            if why := column.misfit(name, offered.get(name)):
                return f"{why}{offered.reason}"
        return ""

    def check(self, condition: Mapping[str, Any] | None, n: int) -> dict[str, Tensor]:
        """The given values, one checked row per sample; raises as `resolve`."""
        if not isinstance(condition or {}, Mapping):
            raise ConditionError(f"conditions are given by name, as {{'label': 3}}; got {shown(condition)}")
        given = dict(condition or {})
        for name in given:
            if name not in self:
                why = self.reason or (suggest(name, self) if self else ", nor any other: it was trained without")
                raise ConditionError(f"this generator takes no condition {shown(name)}{why}")
        return {name: self[name].check(name, value, n) for name, value in given.items()}


class Conditioned:
    """Something with columns of conditions, which names the classes of its labels as it does its own."""

    conditions: ConditionSpace = ConditionSpace()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes of its labels."""
        return self.conditions.class_names

    @class_names.setter
    def class_names(self, names: tuple[str, ...]) -> None:
        self.conditions = self.conditions.with_class_names(names)


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
