"""Frechet distance between Gaussians (Heusel et al. 2017, eq. 6), without a matrix square root.

tr (S1 S2)^(1/2) is the nuclear norm of A1^T A2 for any factors S_i = A_i A_i^T. Singular values take no square root of
a rounded zero, so the distance is exact for singular covariances, real, and non-negative up to rounding. `sqrtm` is
slow and goes complex on singular matrices; `eigvals` kills the process on non-finite input.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.core.errors import EvaluationError
from genkit.evaluation.functional.matrices import Features, as_float64, as_pair

_EPS = torch.finfo(torch.float64).eps
_SAFE_PIVOT = 1e-6
"""Cholesky of a covariance loses eps / sqrt(pivot) of its factor: here 1e-13 at most."""


def frechet_distance(mu1: Features, sigma1: Features, mu2: Features, sigma2: Features) -> float:
    """||mu1 - mu2||^2 + tr sigma1 + tr sigma2 - 2 tr (sigma1 sigma2)^(1/2), in float64.

    Args:
        mu1, mu2: means, (d,).
        sigma1, sigma2: covariances, (d, d), symmetric and positive semi-definite, of any rank.

    Raises:
        EvaluationError: not finite, shapes that do not fit, or a matrix that is no covariance.
    """
    m1, s1 = _gaussian("first", mu1, sigma1)
    m2, s2 = _gaussian("second", mu2, sigma2)
    if m1.shape != m2.shape:
        raise EvaluationError(f"the Gaussians have {len(m1)} and {len(m2)} dimensions; use one extractor for both")
    return _distance(m1, factor(s1), m2.to(m1.device), factor(s2).to(m1.device))


def frechet_distance_from_features(real: Features, fake: Features) -> float:
    """Frechet distance of the Gaussians fitted to two sets (unbiased covariances), straight from their features.

    Exact also when there are fewer samples than dimensions, where it is faster than the covariances would be.

    Args:
        real, fake: (n, d) and (m, d), at least 2 rows each.

    Raises:
        EvaluationError: not finite, fewer than 2 samples, or dimensions that differ.
    """
    x, y = as_pair(real, fake)
    return _distance(x.mean(0), factor_of_rows(centred_rows(x)), y.mean(0), factor_of_rows(centred_rows(y)))


def rank_of(sigma: Tensor) -> int:
    """Numerical rank of a covariance, (d, d)."""
    return factor(sigma).shape[1]


def rank_of_features(x: Tensor) -> int:
    """Numerical rank of the covariance of (n, d); below n.

    The smaller of the two products is looked at, whose entries carry the rounding of sums as long as the longer side.
    """
    rows = centred_rows(x)
    product = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
    return min(factor(product, max(rows.shape)).shape[1], len(rows) - 1)


def factor(sigma: Tensor, summed: int = 0) -> Tensor:
    """A of (d, rank) with A A^T = sigma; the rank is numerical.

    Plain Cholesky when its pivots prove full rank, else Cholesky with pivoting, which stops at the rank.

    Args:
        summed: terms in the sums that sigma's entries are, where they are more than d.

    Raises:
        EvaluationError: sigma is not positive semi-definite.
    """
    threshold = _threshold(sigma, summed)
    lower, failed = torch.linalg.cholesky_ex(sigma)
    if not int(failed) and lower.diagonal().square().min() > threshold:
        return lower
    from scipy.linalg.lapack import dpstrf

    packed, pivots, rank, _ = dpstrf(sigma.cpu().numpy(), tol=threshold, lower=1)
    found = torch.from_numpy(packed).tril()[:, :rank]
    a = torch.empty_like(found)
    a[torch.from_numpy(pivots.astype("int64")) - 1] = found
    a = a.to(sigma.device)
    if (sigma - a @ a.T).abs().max() > 1e-5 * sigma.diagonal().max().clamp(min=0):
        raise EvaluationError("a covariance has negative eigenvalues, so these are not the statistics of any set")
    return a


def centred_rows(x: Tensor) -> Tensor:
    """(n, d) -> (n, d) whose product rows^T rows is the unbiased covariance of x."""
    return (x - x.mean(0)) / (len(x) - 1) ** 0.5


def factor_of_rows(rows: Tensor) -> Tensor:
    """A of (d, min(n, d)) with A A^T = rows^T rows.

    The rows themselves when they are few; the Cholesky factor where squaring loses nothing; else a QR decomposition.
    """
    if len(rows) <= rows.shape[1]:
        return rows.T
    lower, failed = torch.linalg.cholesky_ex(rows.T @ rows)
    pivots = lower.diagonal().square()
    if not int(failed) and pivots.min() > _SAFE_PIVOT * pivots.max():
        return lower
    return torch.linalg.qr(rows, mode="r")[1].T


def nuclear_norm(product: Tensor) -> Tensor:
    """Sum of the singular values of (r1, r2).

    The eigenvalues of the Gram matrix are four times faster; they are taken where the rounding bound of their square
    roots is below 1e-13 of the sum.
    """
    if product.numel() == 0:
        return product.new_zeros(())
    wide = product if product.shape[0] <= product.shape[1] else product.T
    eigenvalues = torch.linalg.eigvalsh(wide @ wide.T)
    roots = eigenvalues.clamp(min=0).sqrt()
    rounding = _EPS * eigenvalues[-1]
    if eigenvalues[0] > 100 * rounding and (rounding / roots).sum() < 1e-13 * roots.sum():
        return roots.sum()
    return torch.linalg.svdvals(product).sum()


def _distance(m1: Tensor, a1: Tensor, m2: Tensor, a2: Tensor) -> float:
    traces = a1.square().sum() + a2.square().sum()
    value = (m1 - m2).square().sum() + traces - 2 * nuclear_norm(a1.T @ a2)
    return max(value.item(), 0.0)


def _gaussian(which: str, mu: object, sigma: object) -> tuple[Tensor, Tensor]:
    mean = torch.atleast_1d(as_float64(f"the {which} mean", mu))
    cov = torch.atleast_2d(as_float64(f"the {which} covariance", sigma))
    if mean.ndim != 1 or cov.shape != (len(mean), len(mean)):
        raise EvaluationError(
            f"the {which} Gaussian needs a mean (d,) and a covariance (d, d), "
            f"got {tuple(mean.shape)} and {tuple(cov.shape)}"
        )
    if (cov - cov.T).abs().max() > 1e-6 * cov.abs().max():
        raise EvaluationError(f"the {which} covariance is not symmetric, so it is no covariance")
    return mean, (cov + cov.T) / 2


def _threshold(sigma: Tensor, summed: int) -> float:
    return float(_EPS * max(len(sigma), summed) * sigma.diagonal().max().clamp(min=0))
