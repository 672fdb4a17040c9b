"""Metrics as pure float64 functions of features or logits: no network, no image code, no hidden randomness.

Arrays or tensors in, Python floats out; values that are not finite are refused before any linear algebra.
"""

from genkit.evaluation.functional.frechet import frechet_distance, frechet_distance_from_features
from genkit.evaluation.functional.inception_score import inception_score
from genkit.evaluation.functional.kernel import kernel_distance, kernel_distance_subsets
from genkit.evaluation.functional.neighbours import (
    authenticity,
    density_coverage,
    neighbour_scores,
    precision_recall,
)
from genkit.evaluation.functional.robust_dual import robust_wasserstein_dual
from genkit.evaluation.functional.robust_transport import robust_wasserstein
from genkit.evaluation.functional.standard_error import (
    frechet_standard_error,
    inception_standard_error,
    kernel_standard_error,
    subset_standard_error,
)
from genkit.evaluation.functional.vendi import vendi_score

__all__ = [
    "authenticity",
    "density_coverage",
    "frechet_distance",
    "frechet_distance_from_features",
    "frechet_standard_error",
    "inception_score",
    "inception_standard_error",
    "kernel_distance",
    "kernel_distance_subsets",
    "kernel_standard_error",
    "neighbour_scores",
    "precision_recall",
    "robust_wasserstein",
    "robust_wasserstein_dual",
    "subset_standard_error",
    "vendi_score",
]
