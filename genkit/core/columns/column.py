"""A column of a condition: the values that one name takes, one a sample."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from torch import Tensor

from genkit.core.pretrained import Configured
from genkit.core.randomness import Randomness

FREE = "free"
"""The text that leaves a row of a free column to the generator."""


def in_turn(rows: Tensor, n: int) -> Tensor:
    """n rows: those that are given, over and over."""
    return rows[torch.arange(n) % len(rows)]


class Column(Configured, ABC):
    """A column of a condition: the values that one name takes.

    A file writes it as `{type: labels, classes: 4}`, and so does config.json.

    A row of a `free` column may say nothing, which leaves it to the generator: `UNASKED` of the column, that is -1
    among labels and nan among numbers. It is what is drawn where nothing is given; `asked` tells such rows apart.

    Attributes:
        drawable: whether a value can be drawn where none is given.
        free: whether what is not asked for is left to the generator.
        names: what its values are called, in their order; may be empty.
    """

    drawable: bool = True
    free: bool = False
    names: tuple[str, ...] = ()

    @property
    @abstractmethod
    def about(self) -> str:
        """The values that it takes, in a few words."""

    @abstractmethod
    def check(self, name: str, value: Any, n: int) -> Tensor:
        """`value` as n rows; a single one is repeated, and of a text "a,b,c" the values are taken in turn.

        Raises:
            ConditionError: it is nothing that this column takes, by the column's `name`.
        """

    @abstractmethod
    def draw(self, randomness: Randomness) -> Tensor:
        """A row for each row of `randomness`, where the column is `drawable`."""

    @abstractmethod
    def misfit(self, name: str, offered: Column | None) -> str:
        """Why data with this column cannot teach this one: "takes ..., but the data have ..."; empty where they can."""

    def listed(self, text: str) -> list[str]:
        """The values between commas; where `names` have commas themselves, the longest of them that fit."""
        parts, found, start = text.split(","), list[str](), 0
        longest = 1 + max((name.count(",") for name in self.names), default=0)
        while start < len(parts):
            ends = (start + k for k in range(longest, 1, -1))
            end = next((end for end in ends if ",".join(parts[start:end]).strip() in self.names), start + 1)
            found.append(",".join(parts[start:end]).strip())
            start = end
        return found

    def asked(self, rows: Tensor) -> Tensor:
        """True for rows that ask for a value, (n,) bool."""
        raise NotImplementedError(f"{type(self).__name__} is never free")

    def left_free(self) -> Self:
        """The same, what is not asked for being left to the generator."""
        return self._as(free=True)

    def asking(self) -> Self:
        """The same, something being asked for in every row."""
        return self._as(free=False)

    def _as(self, free: bool) -> Self:
        other = copy.copy(self)
        other.free = free
        other.config = self.config | {"free": free}
        return other
