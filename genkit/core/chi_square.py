"""Chi-square balls around equal weights: their size in words, their penalty, and their optimum in closed form.

Balaji et al. 2020, "Robust Optimal Transport with Applications in Generative Modeling and Domain Adaptation",
arXiv:2010.05862. A ball of radius rho holds the mean-one weights with mean (w - 1)^2 / 2 <= rho.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import relu

from genkit.core.errors import RecipeError
from genkit.core.precision import wide

EQUAL = 1e-6
"""Deviation of scores, as a share of the largest one, up to which it is rounding."""
PENALTY = 100.0
FLOOR = 1e-4
"""The authors' factor of the hinge penalty, and their addend of raw weights before normalising."""


def rho_of_share(share: float) -> float:
    """rho = e / (2 (1 - e)): the smallest ball with weight 0 on a share e of the data and 1 / (1 - e) on the rest.

    Raises:
        RecipeError: a share outside 0 to 0.5, 0.5 excluded.
    """
    if not 0 <= share < 0.5:
        raise RecipeError(
            f"outlier_share {share}: up to this share of the data may be junk; accepted: 0 to below 0.5, "
            "since beyond a half the junk would be the data"
        )
    return share / (2 * (1 - share))


def radius(outlier_share: float | None, rho: float | None) -> float:
    """The radius that one of the two names.

    Raises:
        RecipeError: both or neither, or one out of range.
    """
    if (outlier_share is None) == (rho is None):
        raise RecipeError("give outlier_share (up to this share of the data may be junk) or rho, one of the two")
    if outlier_share is not None:
        return rho_of_share(outlier_share)
    assert rho is not None
    if not (rho >= 0 and math.isfinite(rho)):
        raise RecipeError(
            f"rho {rho}: the radius of a chi-square ball is 0 or more; an outlier_share e is e / (2 (1 - e))"
        )
    return rho


def normalised(raw: Tensor) -> Tensor:
    """Weights (B,) of mean one from raw ones (B,), with a graph."""
    raw = raw + FLOOR
    return len(raw) * raw / raw.sum()


def ball_penalty(weights: Tensor, rho: float, factor: float = PENALTY) -> Tensor:
    """factor * max(0, mean (w - 1)^2 / 2 - rho), a scalar; zero inside the ball."""
    return factor * relu((0.5 * (weights - 1).square()).mean() - rho)


def deviation(score: Tensor) -> Tensor:
    """The standard deviation of scores (B,), infinite where it is no more than rounding."""
    std = score.std(correction=0)
    return torch.where(std > EQUAL * score.abs().max(), std, torch.inf)


def closed_form(score: Tensor, rho: float) -> Tensor:
    """argmin <w, s> over the ball and w >= 0: w = max(0, a - s / lambda), (B,), without a graph.

    For each number k of positive weights, which sit on the k lowest scores, the two constraints give a and lambda; the
    k whose weights agree with itself is the answer. Where the ball holds the corner, all weight is on the lowest score.
    Scores that differ by no more than rounding are equal, and so are their weights.

    Args:
        score: (B,), any real type; the result has its type.
        rho: radius, at least 0.
    """
    s, order = torch.sort(wide(score.detach()))
    m = len(s)
    s = (s - s.mean()) / deviation(s)
    k = torch.arange(1, m + 1, dtype=s.dtype, device=s.device)
    mean = s.cumsum(0) / k
    spread = s.square().cumsum(0) - k * mean.square()
    left = m * (1 + 2 * rho) - m**2 / k
    slope = (left.clamp(min=0) / spread.clamp(min=1e-300)).sqrt()
    level = m / k + slope * mean
    following = torch.cat([s[1:], s.new_full((1,), torch.inf)])
    beyond = torch.where(slope > 0, level - slope * following, level.where(k < m, level.new_zeros(())))
    wrong = relu(slope * s - level) + relu(beyond)
    best = wrong.where(left >= -1e-12 * m, s.new_full((), torch.inf)).argmin(0, keepdim=True)
    w = relu(level.gather(0, best) - slope.gather(0, best) * s)
    lowest = (s - s[0] <= 1e-12).to(s)
    corner = m / lowest.sum() <= 1 + 2 * rho
    w = torch.where(corner, lowest, w)
    return torch.empty_like(w).scatter_(0, order, w * m / w.sum()).to(score)
