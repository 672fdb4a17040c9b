"""The Vendi score."""

from __future__ import annotations

import math

from torch import Tensor

from genkit.evaluation.functional import vendi_score
from genkit.evaluation.metrics.metric import Estimate, Metric, Scale, Sides, folded


class VendiScore(Metric):
    """Effective number of different samples; the reference does not matter."""

    scores = (Scale("vendi", "higher", 1.0, math.inf),)
    compares = False

    def __call__(self, sides: Sides) -> dict[str, Estimate]:
        features = sides.fake.features
        return {"vendi": Estimate(vendi_score(features), lambda: _error(features))}


def _error(features: Tensor) -> float | None:
    errors = folded(lambda y: (vendi_score(y),), features, least=2)
    return errors[0] if errors else None
