"""The metrics that `evaluate` knows, by name, and how each is computed with its standard error."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from genkit.core.errors import EvaluationError, shown, suggest
from genkit.core.mixture import Mixture, mode_statistics
from genkit.evaluation.extractors.extractor import Extracted
from genkit.evaluation.functional import (
    frechet_distance,
    frechet_distance_from_features,
    frechet_standard_error,
    inception_score,
    inception_standard_error,
    kernel_distance_subsets,
    neighbour_scores,
    subset_standard_error,
    vendi_score,
)
from genkit.evaluation.functional.checks import as_pair
from genkit.evaluation.functional.kernel import kernel_sums
from genkit.evaluation.functional.standard_error import frechet_standard_error_to, jackknife
from genkit.evaluation.statistics_file import Statistics

Values = dict[str, tuple[float, float | None]]
"""name -> (value, standard error)."""

Missing = dict[str, str]
"""Metric -> why it is not given."""

METRICS = {
    "fd": "Frechet distance (FID when the extractor is the published Inception)",
    "kd": "kernel distance, exact and unbiased over all pairs (KID)",
    "kds": "kernel distance over 100 subsets of 1,000, as published tools estimate it",
    "is": "classifier score from logits (IS), one split",
    "pr": "precision and recall, k = 3",
    "dc": "density and coverage, k = 5",
    "vendi": "Vendi score: effective number of different samples",
    "authenticity": "percent of samples that are no copies of reference samples",
    "modes": "modes of a mixture that are found, share of good samples, and how full the rarest mode is",
}

DEFAULTS = ("fd", "kd", "pr")
SUBSETS, SUBSET_SIZE = 100, 1000
K_PRECISION, K_DENSITY = 3, 5

HIGHER_IS_BETTER = {"is", "precision", "recall", "density", "coverage", "vendi", "authenticity"}
HIGHER_IS_BETTER |= {"modes", "good_samples", "rarest_mode"}

GOOD_WITHIN = 3.0
"""Standard deviations from the nearest centre."""

SETTINGS: dict[str, dict[str, object]] = {
    "kds": {"subsets": SUBSETS, "subset_size": SUBSET_SIZE},
    "is": {"splits": 1},
    "pr": {"precision_recall_k": K_PRECISION, "rule": "distance <= radius"},
    "dc": {"density_coverage_k": K_DENSITY, "rule": "distance <= radius"},
    "modes": {"good_within_std": GOOD_WITHIN},
}
LEAST = {"kds": SUBSET_SIZE, "pr": K_PRECISION + 2, "dc": K_DENSITY + 2, "authenticity": 3}
"""Samples that a metric needs of each side; any other needs two."""

NO_CENTRES = "a reference with known centres, such as gaussians25 or gaussians8, is needed"
NO_LOGITS = "the extractor gives features alone; choose one that is a classifier, such as inception"

OF_STATISTICS = ("fd",)
"""What a mean and a covariance are enough for."""

RANGES = {
    "fd": (0.0, math.inf),
    "is": (1.0, math.inf),
    "vendi": (1.0, math.inf),
    "precision": (0.0, 1.0),
    "recall": (0.0, 1.0),
    "density": (0.0, math.inf),
    "coverage": (0.0, 1.0),
    "authenticity": (0.0, 100.0),
    "modes": (0.0, math.inf),
    "good_samples": (0.0, 1.0),
    "rarest_mode": (0.0, math.inf),
}
"""Between what a value lies; the unbiased kernel distances may be negative."""

NEIGHBOURS = {"pr": ("precision", "recall"), "dc": ("density", "coverage"), "authenticity": ("authenticity",)}
PARTS = {**NEIGHBOURS, "modes": ("modes", "good_samples", "rarest_mode")}
"""metric -> the scores that it gives, where they are not one of its own name."""
FOLDS = 10


def check_metrics(metrics: Sequence[str]) -> tuple[str, ...]:
    """The names, once each; 'fd,kd' is read as two.

    Raises:
        EvaluationError: an unknown name, or none.
    """
    given = metrics.split(",") if isinstance(metrics, str) else list(metrics)
    names = tuple(dict.fromkeys(name.strip() for name in given))
    for name in names:
        if name not in METRICS:
            raise EvaluationError(f"no metric {shown(name)}{suggest(name, METRICS)}")
    if not names:
        raise EvaluationError(f"no metrics were asked for; accepted: {', '.join(METRICS)}")
    return names


def compute(
    metrics: Sequence[str],
    real: Extracted | Statistics,
    fake: Extracted | Statistics,
    seed: int,
    mixture: Mixture | None = None,
) -> tuple[Values, Missing]:
    """Every metric of the two sides that there is, and why others are not: one costs no other.

    Args:
        mixture: what the real points were drawn from, which `modes` needs.

    Raises:
        EvaluationError: none can be computed, with the reason for the first.
    """
    values, missing = Values(), Missing()
    near = tuple(name for name in metrics if name in NEIGHBOURS)
    for names in (*((name,) for name in metrics if name not in NEIGHBOURS), *([near] if near else [])):
        try:
            values |= _values(names, real, fake, seed, mixture)
        except (EvaluationError, torch.linalg.LinAlgError) as reason:
            missing |= dict.fromkeys(names, " ".join(str(reason).split()))
    if not values:
        name = next(iter(missing))
        raise EvaluationError(f"metric {name}: {missing[name]}")
    return values, missing


def _values(
    names: Sequence[str],
    real: Extracted | Statistics,
    fake: Extracted | Statistics,
    seed: int,
    mixture: Mixture | None,
) -> Values:
    """Of one metric, or of those that share one pass over neighbours."""
    if isinstance(real, Statistics) or isinstance(fake, Statistics):
        if others := [name for name in names if name not in OF_STATISTICS]:
            raise EvaluationError(f"{others[0]}: statistics hold a mean and a covariance only, and no samples")
        found = {"fd": _frechet_of_statistics(real, fake)}
    elif names[0] == "modes":
        assert mixture, "modes are asked for only where there are some"
        found = _modes(fake.features, mixture)
    elif names[0] in SINGLE:
        found = {names[0]: SINGLE[names[0]](real, fake, seed)}
    else:
        found = _neighbours(names, real.features, fake.features)
    for name, (value, _) in found.items():
        if not math.isfinite(value):
            raise EvaluationError(f"{name} is {value}: the features are too large for it")
    return found


def _frechet(real: Extracted, fake: Extracted, seed: int) -> tuple[float, float | None]:
    x, y = as_pair(real.features, fake.features)
    return frechet_distance_from_features(x, y), frechet_standard_error(x, y)


def _frechet_of_statistics(real: Extracted | Statistics, fake: Extracted | Statistics) -> tuple[float, float | None]:
    sides = [_moments(side) for side in (real, fake)]
    value = frechet_distance(*sides[0], *sides[1])
    for exact, drawn in ((real, fake), (fake, real)):
        if isinstance(exact, Statistics) and isinstance(drawn, Extracted):
            return value, frechet_standard_error_to(exact.mu, exact.sigma, drawn.features)
    return value, None


def _moments(side: Extracted | Statistics) -> tuple[Tensor, Tensor]:
    if isinstance(side, Statistics):
        return side.mu, side.sigma
    x = side.features.double()
    return x.mean(0), x.T.cov().reshape(x.shape[1], -1)


def _kernel(real: Extracted, fake: Extracted, seed: int) -> tuple[float, float | None]:
    sums = kernel_sums(*as_pair(real.features, fake.features))
    return sums.distance(), jackknife(sums) if min(len(sums.xx), len(sums.yy)) > 2 else None


def _kernel_subsets(real: Extracted, fake: Extracted, seed: int) -> tuple[float, float | None]:
    rng = torch.Generator().manual_seed(seed)
    mean, deviation = kernel_distance_subsets(real.features, fake.features, SUBSETS, SUBSET_SIZE, rng)
    return mean, deviation / math.sqrt(SUBSETS)


def _inception(real: Extracted, fake: Extracted, seed: int) -> tuple[float, float | None]:
    if fake.logits is None:
        raise EvaluationError(NO_LOGITS)
    return inception_score(fake.logits)[0], inception_standard_error(fake.logits)


def _vendi(real: Extracted, fake: Extracted, seed: int) -> tuple[float, float | None]:
    errors = _folded(lambda y: (vendi_score(y),), fake.features, least=2)
    return vendi_score(fake.features), errors[0] if errors else None


SINGLE: Mapping[str, Callable[[Extracted, Extracted, int], tuple[float, float | None]]] = {
    "fd": _frechet,
    "kd": _kernel,
    "kds": _kernel_subsets,
    "is": _inception,
    "vendi": _vendi,
}


def _modes(points: Tensor, mixture: Mixture) -> Values:
    """The share with its binomial standard error."""
    found = mode_statistics(points, mixture, GOOD_WITHIN)
    error = math.sqrt(found.good * (1 - found.good) / len(points))
    return {
        "modes": (float(found.modes), None),
        "good_samples": (found.good, error),
        "rarest_mode": (found.rarest, None),
    }


def _neighbours(metrics: Sequence[str], real: Tensor, fake: Tensor) -> Values:
    """Precision to authenticity from one pass over the pairs."""
    k_density = K_DENSITY if "dc" in metrics else K_PRECISION if "pr" in metrics else 1
    k_precision = K_PRECISION if "pr" in metrics else k_density
    names = [name for metric in metrics for name in NEIGHBOURS[metric]]

    def score(x: Tensor, y: Tensor) -> tuple[float, ...]:
        scores = neighbour_scores(x, y, k_precision, k_density)
        return tuple(getattr(scores, name) for name in names)

    values = score(real, fake)
    errors = _folded(score, real, fake, least=max(k_precision, k_density) + 2) or (None,) * len(names)
    return dict(zip(names, zip(values, errors, strict=True), strict=True))


def _folded(score: Callable[..., tuple[float, ...]], *sets: Tensor, least: int) -> tuple[float, ...] | None:
    if min(len(s) for s in sets) < 2 * least:
        return None
    return subset_standard_error(score, *sets, least=least, folds=FOLDS)
