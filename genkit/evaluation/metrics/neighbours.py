"""Scores from nearest neighbours; those that are asked for together share one pass over all pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, partial

from torch import Tensor

from genkit.evaluation.functional import neighbour_scores
from genkit.evaluation.metrics.metric import Estimate, Metric, Scale, Sides, folded


class Neighbours(Metric):
    """Any of precision, recall, density, coverage and authenticity.

    Args:
        scores: see `Metric`.
        k_precision: neighbours of precision and recall; 0 without them.
        k_density: neighbours of density and coverage; 0 without them.
    """

    def __init__(self, scores: tuple[Scale, ...], k_precision: int = 0, k_density: int = 0):
        self.scores, self.k_precision, self.k_density = scores, k_precision, k_density
        self.least = max(k_precision, k_density, 1) + 2

    @property
    def settings(self) -> dict[str, object]:
        counts = {"precision_recall_k": self.k_precision, "density_coverage_k": self.k_density}
        given: dict[str, object] = {name: k for name, k in counts.items() if k}
        return {**given, "rule": "distance <= radius"} if given else {}

    def joined(self, other: Metric) -> Metric | None:
        if not isinstance(other, Neighbours):
            return None
        both = tuple(dict.fromkeys([*self.scores, *other.scores]))
        return Neighbours(both, self.k_precision or other.k_precision, self.k_density or other.k_density)

    def __call__(self, sides: Sides) -> dict[str, Estimate]:
        def score(x: Tensor, y: Tensor) -> tuple[float, ...]:
            k_density = self.k_density or self.k_precision or 1
            found = neighbour_scores(x, y, self.k_precision or k_density, k_density)
            return tuple(getattr(found, scale.name) for scale in self.scores)

        real, fake = sides.real.features, sides.fake.features
        errors = cache(lambda: folded(score, real, fake, least=self.least) or (None,) * len(self.scores))
        values = score(real, fake)
        return {s.name: Estimate(values[i], partial(_item, errors, i)) for i, s in enumerate(self.scores)}


def _item(items: Callable[[], Sequence[float | None]], i: int) -> float | None:
    return items()[i]


class PrecisionRecall(Neighbours):
    """Share of samples inside the reference's neighbourhoods, and of the reference inside the samples'.

    Args:
        k: neighbours; the rule is distance <= radius.
    """

    def __init__(self, k: int = 3):
        super().__init__(tuple(Scale(name, "higher", 0.0, 1.0) for name in ("precision", "recall")), k_precision=k)


class DensityCoverage(Neighbours):
    """Mean number of the reference's neighbourhoods around a sample, and share of these that hold a sample.

    Args:
        k: neighbours; the rule is distance <= radius.
    """

    def __init__(self, k: int = 5):
        super().__init__(
            (Scale("density", "higher", 0.0, math.inf), Scale("coverage", "higher", 0.0, 1.0)), k_density=k
        )


class Authenticity(Neighbours):
    """Percent of samples that are no copies of reference samples."""

    def __init__(self) -> None:
        super().__init__((Scale("authenticity", "higher", 0.0, 100.0),))
