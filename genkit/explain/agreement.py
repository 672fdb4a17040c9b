"""Whether two explanations tell the same: by what their attributes measurably move, since coordinates have no names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from statistics import fmean

from genkit.core.errors import EvaluationError, shown, some
from genkit.explain.explanation import Attribute, Explanation


@dataclass(frozen=True)
class ExplanationAgreement:
    """Of two explanations, for one target class.

    Attributes:
        moved: the property that each moves most, either way.
        cosine: of their mean moves: 1 where they move all properties alike, -1 where the other way.
    """

    moved: tuple[str, str]
    cosine: float

    @property
    def same(self) -> bool:
        """Whether both move the same property most, and the same way."""
        return self.moved[0] == self.moved[1] and self.cosine > 0


def agreement(first: Explanation, second: Explanation, top: int = 3) -> dict[int, ExplanationAgreement]:
    """For each class that both explain, by the mean of what its top attributes move.

    Raises:
        EvaluationError: none to compare, other classes, nothing in common, or attributes of which nothing was
            measured.
    """
    if not isinstance(top, Integral) or top < 1:
        raise EvaluationError(f"a whole number of attributes is compared, one at least, got top={shown(top)}")
    if first.classes != second.classes:
        raise EvaluationError(f"one explains {some(first.classes)}, the other {some(second.classes)}")
    found = {
        y: _compared(mine[: int(top)], second.attributes[y][: int(top)])
        for y, mine in first.attributes.items()
        if mine and second.attributes.get(y)
    }
    if not found:
        raise EvaluationError("there is no class for which both have attributes")
    return found


def _compared(first: Sequence[Attribute], second: Sequence[Attribute]) -> ExplanationAgreement:
    common = [name for name in first[0].moves if all(name in of.moves for of in (*first, *second))]
    if not common:
        raise EvaluationError("what these attributes move was not measured by one judge; search with a judge")
    a, b = ({name: fmean(of.moves[name] for of in found) for name in common} for found in (first, second))
    product = sum(a[name] * b[name] for name in common)
    lengths = [sum(moves[name] ** 2 for name in common) ** 0.5 for moves in (a, b)]
    most = [max(common, key=lambda name: fmean(of.drift(name) for of in found)) for found in (first, second)]
    return ExplanationAgreement((most[0], most[1]), product / max(lengths[0] * lengths[1], 1e-12))
