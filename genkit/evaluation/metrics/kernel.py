"""The kernel distance, over all pairs and over subsets."""

from __future__ import annotations

import math

import torch

from genkit.evaluation.functional import kernel_distance_subsets
from genkit.evaluation.functional.kernel import kernel_sums
from genkit.evaluation.functional.matrices import as_pair
from genkit.evaluation.functional.standard_error import jackknife
from genkit.evaluation.metrics.metric import Estimate, Metric, Scale, Sides


class KernelDistance(Metric):
    """Squared maximum mean discrepancy, exact and unbiased over all pairs; it may be slightly negative."""

    scores = (Scale("kd", "lower", label="KD", published="KID"),)

    def __call__(self, sides: Sides) -> dict[str, Estimate]:
        sums = kernel_sums(*as_pair(sides.real.features, sides.fake.features))
        enough = min(len(sums.xx), len(sums.yy)) > 2
        return {"kd": Estimate(sums.distance(), lambda: jackknife(sums) if enough else None)}


class KernelDistanceOfSubsets(Metric):
    """The kernel distance as published tools estimate it: the mean over random subsets.

    Args:
        subsets: number of subsets.
        size: samples of each subset.
    """

    scores = (Scale("kds", "lower", label="KD of subsets", published="KID of subsets"),)
    instead = "; kd takes all pairs instead of subsets"

    def __init__(self, subsets: int = 100, size: int = 1000):
        self.subsets, self.least = subsets, size

    @property
    def settings(self) -> dict[str, object]:
        return {"subsets": self.subsets, "subset_size": self.least}

    def __call__(self, sides: Sides) -> dict[str, Estimate]:
        rng = torch.Generator().manual_seed(sides.seed)
        real, fake = sides.real.features, sides.fake.features
        mean, deviation = kernel_distance_subsets(real, fake, self.subsets, self.least, rng)

        def error() -> float:
            """The scatter of the subsets, beside that of other samples, which all subsets share."""
            return math.hypot(jackknife(kernel_sums(*as_pair(real, fake))), deviation / math.sqrt(self.subsets))

        return {"kds": Estimate(mean, error)}
