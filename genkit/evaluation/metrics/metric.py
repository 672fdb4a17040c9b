"""The metric contract."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from genkit.core.mixture import PointMixture
from genkit.evaluation.extractors.extractor import FeatureGaussian
from genkit.evaluation.functional import subset_standard_error
from genkit.evaluation.metrics.kept import ROWS, Kept

SAMPLES, LOGITS, CENTRES = "samples", "logits", "centres"
"""Possible needs of a metric: samples beyond a mean and a covariance, a classifier, a known mixture as reference."""
NO_LOGITS = "the extractor gives features alone; choose one that is a classifier, such as inception"


@dataclass(frozen=True)
class Scale:
    """Name, direction and range of a score.

    Attributes:
        name: of the score.
        better: "lower" or "higher".
        low, high: smallest and largest possible value.
        label: printed before the name of the extractor; "" for `name`.
        published: name with the published Inception weights, and with these alone; "" for no such name.
    """

    name: str
    better: Literal["lower", "higher"]
    low: float = -math.inf
    high: float = math.inf
    label: str = ""
    published: str = ""


@dataclass(frozen=True)
class Estimate:
    """A value, and a function that finds its standard error, None where it cannot be estimated."""

    value: float
    error: Callable[[], float | None] = lambda: None


@dataclass(frozen=True)
class Sides:
    """The two sets that are compared.

    Attributes:
        real, fake: features of the reference and of the samples; a Gaussian where only statistics are known. `real` is
            None for a metric that does not compare.
        seed: of random choices of a metric.
        mixture: that the real points were drawn from, if known.
    """

    real: Any
    fake: Any
    seed: int = 0
    mixture: PointMixture | None = None

    @property
    def of_samples(self) -> bool:
        """Whether the samples of both sides are known."""
        return not any(isinstance(side, FeatureGaussian) for side in (self.real, self.fake))


class Metric(ABC):
    """One score, or several of one computation. Its name and description stand in the table, see `genkit list metrics`.

    Attributes:
        scores: names and ranges of its scores.
        needs: any of SAMPLES, LOGITS and CENTRES.
        least: smallest number of samples of each side.
        compares: whether the reference matters.
        instead: end of the message about too few samples, with a metric that needs fewer.
        keeps: its state over samples that come batch by batch, see `TorchMetric`.
    """

    scores: tuple[Scale, ...]
    needs: frozenset[str] = frozenset({SAMPLES})
    least: int = 2
    compares: bool = True
    instead: str = ""
    keeps: Kept = ROWS

    @property
    def settings(self) -> dict[str, object]:
        """Settings that a reader needs to compute the same."""
        return {}

    @abstractmethod
    def __call__(self, sides: Sides) -> dict[str, Estimate]:
        """Name of a score -> its estimate.

        Raises:
            EvaluationError: it cannot be computed, with the reason.
        """

    def joined(self, other: Metric) -> Metric | None:
        """A metric that gives the scores of both in one computation; None when nothing is saved by that."""
        return None


def folded(score: Callable[..., tuple[float, ...]], *sets: Tensor, least: int) -> tuple[float, ...] | None:
    """The spread of every number of `score` over tenths of the sets; None where two folds would have too few rows."""
    if min(len(s) for s in sets) < 2 * least:
        return None
    return subset_standard_error(score, *sets, least=least)
