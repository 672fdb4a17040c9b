"""Mixtures of points with known centres, and their coverage by samples."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from genkit.core.errors import DataError


@dataclass(frozen=True, eq=False)
class PointMixture:
    """Equally likely round Gaussians.

    Attributes:
        centres: (K, D).
        std: standard deviation of every coordinate around its centre.
    """

    centres: Tensor
    std: float


@dataclass(frozen=True, eq=False)
class ModeStatistics:
    """Coverage of a mixture.

    Attributes:
        modes: number of modes that hold at least one good sample.
        good: share of the samples that are good, in [0, 1].
        counts: good samples of each mode, (K,) int64.
        rarest: good samples of the mode with fewest over a fair share of all samples, N / K; near `good` when all modes
            are as likely as they should be, and 0 when one is missing. A single stray sample makes a mode count as
            found, but not as frequent.
    """

    modes: int
    good: float
    counts: Tensor
    rarest: float


def mode_statistics(points: Tensor, mixture: PointMixture, radius: float = 3.0) -> ModeStatistics:
    """Numbers of modes found by samples (N, D), and of good samples: within `radius` std of the nearest centre.

    The definition of Srivastava et al. 2017 (VEEGAN, arXiv:1705.07761, section 5), radius 3; Azadi et al. 2019 use 4.
    Perfect samples in the plane give 1 - exp(-radius^2 / 2): 0.9889 for 3, 0.9997 for 4. Samples that are not finite
    are not good.

    Raises:
        DataError: another shape, or no samples.
    """
    dims = mixture.centres.shape[1]
    if points.dim() != 2 or points.shape[1] != dims or not len(points):
        raise DataError(f"modes are counted for points (N, {dims}) with N of at least 1, got {tuple(points.shape)}")
    gaps = points.detach().cpu().double()[:, None] - mixture.centres.double()
    distance, nearest = gaps.square().sum(-1).sqrt().min(1)
    good = distance <= radius * mixture.std
    counts = nearest[good].bincount(minlength=len(mixture.centres))
    rarest = float(counts.min()) * len(counts) / len(points)
    return ModeStatistics(int((counts > 0).sum()), float(good.double().mean()), counts, rarest)
