"""Whether two explanations tell the same: by what their attributes measurably move, since coordinates have no names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genkit.core.errors import EvaluationError
from genkit.explain.explanation import Attribute, Explanation


@dataclass(frozen=True)
class ExplanationAgreement:
    """Of two explanations, for one target class.

    Attributes:
        moved: the property that each moves most.
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
        EvaluationError: other classes, nothing in common, or attributes of which nothing was measured.
    """
    if first.classes != second.classes:
        raise EvaluationError(f"one explains {', '.join(first.classes)}, the other {', '.join(second.classes)}")
    found = {
        y: _compared(_moved(mine, top), _moved(second.attributes[y], top))
        for y, mine in first.attributes.items()
        if mine and second.attributes.get(y)
    }
    if not found:
        raise EvaluationError("there is no class for which both have attributes")
    return found


def _moved(attributes: Sequence[Attribute], top: int) -> dict[str, float]:
    """Property -> mean move of the first ones."""
    seen = attributes[:top]
    return {name: sum(a.moves[name] for a in seen) / len(seen) for name in seen[0].moves}


def _compared(a: dict[str, float], b: dict[str, float]) -> ExplanationAgreement:
    common = [name for name in a if name in b]
    if not common:
        raise EvaluationError("what these attributes move was not measured by one judge; search with a judge")
    product = sum(a[name] * b[name] for name in common)
    lengths = [sum(moves[name] ** 2 for name in common) ** 0.5 for moves in (a, b)]
    most = [max(common, key=lambda name: abs(moves[name])) for moves in (a, b)]
    return ExplanationAgreement((most[0], most[1]), product / max(lengths[0] * lengths[1], 1e-12))
