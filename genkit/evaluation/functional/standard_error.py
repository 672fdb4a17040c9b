"""Standard errors: the scatter of each score if both sets were drawn again.

Frechet distance and Inception score: the infinitesimal jackknife, i.e. the deviation of every sample's first-order
contribution. Kernel distance: the jackknife, free from the kernel's row sums. Neighbour and Vendi scores: the spread
over disjoint tenths of the sets. All are estimates to some ten percent; near a distance of 0, where the first order
vanishes, they err on the large side.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from genkit.core.errors import EvaluationError
from genkit.evaluation.functional.frechet import centred_rows, factor, factor_of_rows
from genkit.evaluation.functional.inception_score import divergences
from genkit.evaluation.functional.kernel import KernelSums, kernel_sums
from genkit.evaluation.functional.matrices import Features, as_features, as_float64, as_pair

DRAWN = 2000
"""Rows that stand for those behind a Gaussian, at most."""


def frechet_standard_error(real: Features, fake: Features) -> float:
    """Standard error of `frechet_distance_from_features(real, fake)`; errors as there."""
    x, y = as_pair(real, fake)
    towards_y = potentials(x, y.mean(0), factor_of_rows(centred_rows(y)))
    towards_x = potentials(y, x.mean(0), factor_of_rows(centred_rows(x)))
    return (towards_y.var() / len(x) + towards_x.var() / len(y)).sqrt().item()


def frechet_standard_error_to(mu: Features, sigma: Features, fake: Features, n: int | None = None) -> float:
    """Standard error of a distance from a Gaussian (d,), (d, d).

    Args:
        n: samples that the Gaussian was fitted to, whose share is that of as many draws of it; None takes it as exact.
    """
    y, mean, a = as_features("fake features", fake), as_float64("mean", mu), factor(as_float64("covariance", sigma))
    variance = potentials(y, mean, a).var() / len(y)
    if n is not None:
        z = torch.randn(min(n, DRAWN), a.shape[1], generator=torch.Generator().manual_seed(0), dtype=a.dtype)
        drawn = mean + z.to(a) @ a.T
        variance = variance + potentials(drawn, y.mean(0), factor_of_rows(centred_rows(y))).var() / n
    return variance.sqrt().item()


def potentials(y: Tensor, mean: Tensor, a: Tensor) -> Tensor:
    """First-order contribution of each row of y (m, d) to its Frechet distance from the Gaussian (mean, a a^T): (m,).

    -2 tr (S1 S2)^(1/2) has the derivative -G by S2, G = a M^(-1/2) a^T with M = a^T S2 a (M^(-1/2) on its range). With
    fewer rows than dimensions y_j^T G y_j is read from the rows: (m - 1) |B|_jj, |B| = (B^T B)^(1/2), B = a^T Y^T.
    """
    rows = centred_rows(y)
    product = a.T @ rows.T
    if len(rows) <= rows.shape[1]:
        eigenvalues, vectors = torch.linalg.eigh(product.T @ product)
        transported = vectors.square() @ eigenvalues.clamp(min=0).sqrt()
    else:
        eigenvalues, vectors = torch.linalg.eigh(product @ product.T)
        kept = eigenvalues > torch.finfo(torch.float64).eps * len(eigenvalues) * eigenvalues.sum()
        scaled = vectors[:, kept] * eigenvalues[kept] ** -0.25
        transported = (product.T @ scaled).square().sum(1)
    return (len(y) - 1) * (rows.square().sum(1) - transported) + 2 * (y - y.mean(0)) @ (y.mean(0) - mean)


def kernel_standard_error(real: Features, fake: Features) -> float:
    """Jackknife standard error of `kernel_distance`; needs at least 3 samples each."""
    return jackknife(kernel_sums(*as_pair(real, fake, 3, " for a standard error")))


def jackknife(sums: KernelSums) -> float:
    """Standard error of the kernel distance from its row sums."""
    return (_leave_one_out(sums.xx, sums.xy, len(sums.yy)) + _leave_one_out(sums.yy, sums.yx, len(sums.xx))) ** 0.5


def inception_standard_error(logits: Features) -> float:
    """Standard error of `inception_score(logits, 1)`: the score times that of the mean divergence."""
    kl = divergences(as_features("logits", logits))
    return (kl.mean().exp() * kl.std() / len(kl) ** 0.5).item()


def subset_standard_error(
    score: Callable[..., tuple[float, ...]], *sets: Tensor, least: int = 2, folds: int = 10
) -> tuple[float, ...]:
    """Standard errors of every number `score(*sets)` returns: its deviation over disjoint folds over sqrt(folds).

    Args:
        score: called with the same fold of every set.
        sets: (n, d) each; each fold is of rows here and there.
        least: rows that a fold needs; fewer folds are used when the sets are small.

    Raises:
        EvaluationError: fewer than two folds of `least` rows.
    """
    folds = min(folds, *(len(s) // least for s in sets))
    if folds < 2:
        raise EvaluationError(f"a standard error needs at least {2 * least} samples in each set")
    mixed = [s[torch.randperm(len(s), generator=torch.Generator().manual_seed(0))] for s in sets]
    values = torch.tensor([score(*(s[i::folds] for s in mixed)) for i in range(folds)], dtype=torch.float64)
    return tuple((values.std(0) / folds**0.5).tolist())


def _leave_one_out(within: Tensor, cross: Tensor, others: int) -> float:
    """Jackknife variance from leaving out each row of one set."""
    n = len(within)
    left = (within.sum() - 2 * within) / ((n - 1) * (n - 2)) - 2 * (cross.sum() - cross) / ((n - 1) * others)
    return ((n - 1) / n * (left - left.mean()).square().sum()).item()
