"""What one name of a condition takes, one value a sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

from genkit.core.randomness import Randomness


class Column(ABC):
    """What one name of a condition takes.

    Attributes:
        drawable: whether a value can be drawn where none is given.
        names: what its values are called, in their order; may be empty.
    """

    drawable: bool = True
    names: tuple[str, ...] = ()

    @property
    @abstractmethod
    def about(self) -> str:
        """What it takes, in a few words."""

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
