"""Coverage of a known mixture."""

from __future__ import annotations

import math

from genkit.core.mixture import mode_statistics
from genkit.evaluation.metrics.metric import CENTRES, SAMPLES, Estimate, Metric, Scale, Sides

GOOD_WITHIN = 3.0
"""Standard deviations from the nearest centre."""


class Modes(Metric):
    """Modes of a mixture that are found, share of good samples with its binomial error, and how full the rarest is."""

    scores = (
        Scale("modes", "higher", 0.0, math.inf),
        Scale("good_samples", "higher", 0.0, 1.0),
        Scale("rarest_mode", "higher", 0.0, math.inf),
    )
    needs = frozenset({SAMPLES, CENTRES})

    @property
    def settings(self) -> dict[str, object]:
        return {"good_within_std": GOOD_WITHIN}

    def __call__(self, sides: Sides) -> dict[str, Estimate]:
        assert sides.mixture, "modes are asked for only where there are some"
        points = sides.fake.features
        found = mode_statistics(points, sides.mixture, GOOD_WITHIN)
        error = math.sqrt(found.good * (1 - found.good) / len(points))
        return {
            "modes": Estimate(float(found.modes)),
            "good_samples": Estimate(found.good, lambda: error),
            "rarest_mode": Estimate(found.rarest),
        }
