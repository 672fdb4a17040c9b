"""Kernel distance: squared maximum mean discrepancy with k(x, y) = (x.y / d + 1)^3 (Binkowski et al. 2018, KID)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genkit.core.errors import EvaluationError
from genkit.evaluation.functional.matrices import Features, as_pair

BLOCK = 1024
"""Rows of the kernel matrix held at a time."""


@dataclass(frozen=True)
class KernelSums:
    """Row sums of the kernel matrices, all that the estimate and its jackknife need.

    Attributes:
        xx, yy: (n,), (m,), without the diagonal.
        xy, yx: (n,), (m,), the rows and the columns of the cross kernel.
    """

    xx: Tensor
    yy: Tensor
    xy: Tensor
    yx: Tensor

    def distance(self) -> float:
        n, m = len(self.xx), len(self.yy)
        within = self.xx.sum() / (n * (n - 1)) + self.yy.sum() / (m * (m - 1))
        return (within - 2 * self.xy.sum() / (n * m)).item()


def kernel_distance(real: Features, fake: Features) -> float:
    """The exact unbiased estimate over all pairs: off-diagonal means of k_xx and k_yy minus twice the mean of k_xy.

    Blocked: memory is 1024 rows of a kernel matrix. The estimate can be slightly negative.

    Args:
        real, fake: (n, d) and (m, d), at least 2 rows each.

    Raises:
        EvaluationError: not finite, fewer than 2 samples, or dimensions that differ.
    """
    return kernel_sums(*as_pair(real, fake)).distance()


def kernel_distance_subsets(
    real: Features, fake: Features, subsets: int = 100, size: int = 1000, rng: torch.Generator | None = None
) -> tuple[float, float]:
    """The published tools' estimate: mean and standard deviation (ddof 0) over random subsets without replacement.

    Its expectation is `kernel_distance`, around which one subset scatters by the returned deviation.

    Args:
        real, fake: (n, d) and (m, d), at least `size` rows each; never shrunk silently.
        rng: CPU generator; None draws with seed 0, so that a call can be repeated.

    Raises:
        EvaluationError: fewer samples than `size`, fewer than 2 a subset, no subset, or as `kernel_distance`.
    """
    if subsets < 1 or size < 2:
        raise EvaluationError(f"subset kernel distance needs subsets >= 1 and size >= 2, got {subsets} and {size}")
    x, y = as_pair(real, fake, size, f" for subsets of {size}")
    rng = rng or torch.Generator().manual_seed(0)
    values = torch.tensor([kernel_sums(_draw(x, size, rng), _draw(y, size, rng)).distance() for _ in range(subsets)])
    return values.double().mean().item(), values.double().std(correction=0).item()


def kernel_sums(x: Tensor, y: Tensor) -> KernelSums:
    """Row sums for (n, d) and (m, d) float64."""
    xy, yx = _cross_sums(x, y)
    return KernelSums(_within_sums(x), _within_sums(y), xy, yx)


def _draw(x: Tensor, size: int, rng: torch.Generator) -> Tensor:
    return x[torch.randperm(len(x), generator=rng)[:size].to(x.device)]


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    inner = (a @ b.T).div_(a.shape[1]).add_(1)
    return inner.square().mul_(inner)


def _cross_sums(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = x.new_empty(len(x)), x.new_zeros(len(y))
    for start in range(0, len(x), BLOCK):
        block = _kernel(x[start : start + BLOCK], y)
        rows[start : start + BLOCK] = block.sum(1)
        columns += block.sum(0)
    return rows, columns


def _within_sums(x: Tensor) -> Tensor:
    """Off-diagonal row sums; only the blocks on and above the diagonal are computed."""
    sums = x.new_zeros(len(x))
    for start in range(0, len(x), BLOCK):
        stop = min(start + BLOCK, len(x))
        block = _kernel(x[start:stop], x[start:])
        block.fill_diagonal_(0)
        sums[start:stop] += block.sum(1)
        sums[stop:] += block[:, stop - start :].sum(0)
    return sums
