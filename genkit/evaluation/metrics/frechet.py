"""The Frechet distance."""

from __future__ import annotations

import math

from torch import Tensor

from genkit.evaluation.extractors.extractor import Extracted, FeatureGaussian
from genkit.evaluation.functional import (
    frechet_distance,
    frechet_distance_from_features,
    frechet_standard_error,
)
from genkit.evaluation.functional.matrices import as_pair
from genkit.evaluation.functional.standard_error import frechet_standard_error_to
from genkit.evaluation.metrics.kept import Moments
from genkit.evaluation.metrics.metric import Estimate, Metric, Scale, Sides


class FrechetDistance(Metric):
    """Distance of the Gaussians fitted to both sides' features: FID with the published Inception."""

    scores = (Scale("fd", "lower", 0.0, math.inf, "FD", "FID"),)
    needs = frozenset()
    keeps = Moments()

    def __call__(self, sides: Sides) -> dict[str, Estimate]:
        if not sides.of_samples:
            return {"fd": _of_gaussians(sides.real, sides.fake)}
        x, y = as_pair(sides.real.features, sides.fake.features)
        return {"fd": Estimate(frechet_distance_from_features(x, y), lambda: frechet_standard_error(x, y))}


def _of_gaussians(real: Extracted | FeatureGaussian, fake: Extracted | FeatureGaussian) -> Estimate:
    def error() -> float | None:
        for exact, drawn in ((real, fake), (fake, real)):
            if isinstance(exact, FeatureGaussian) and isinstance(drawn, Extracted):
                return frechet_standard_error_to(exact.mu, exact.sigma, drawn.features, exact.n)
        return None

    return Estimate(frechet_distance(*_moments(real), *_moments(fake)), error)


def _moments(side: Extracted | FeatureGaussian) -> tuple[Tensor, Tensor]:
    if isinstance(side, FeatureGaussian):
        return side.mu, side.sigma
    x = side.features.double()
    return x.mean(0), x.T.cov().reshape(x.shape[1], -1)
