"""Discriminator rejection sampling. Azadi et al. 2019, arXiv:1810.06758, Algorithm 1 and Section 3.2.

A logit l(x) estimates log p_data(x) / p_generator(x). With M = max exp(l), a sample is kept with probability

    p(x) = sigmoid(F(x) - gamma),   F(x) = (l - log M) - log(1 - exp(l - log M - eps)),

which is exp(l - log M) itself, exact rejection, where gamma = 0. All in logarithms and float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.core.errors import GenkitError, shown

EPS = 1e-8
LEAST_KEPT = 10
"""Samples of a burn-in that would be kept at least: with fewer, one or two outliers decide on M."""
MOST_ADVISED = 100_000
"""Samples of a burn-in beyond which another rate is advised."""
FEWEST = 20
"""Samples beyond a percentile that gamma needs, else it is interpolated into the few of the largest logits."""


@dataclass(frozen=True)
class Shift:
    """gamma: a number, or found in a sample of F.

    Attributes:
        gamma: 0 is exact; larger keeps fewer and better samples, -inf keeps all.
        percentile: gamma is this percentile of F, 0 to 100; a sample there is kept with probability 1/2.
        rate: gamma is such that this share of the samples is kept.

    Raises:
        GenkitError: not exactly one of the three, or one out of range.
    """

    gamma: float | None = None
    percentile: float | None = None
    rate: float | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("gamma", "percentile", "rate") if getattr(self, name) is not None]
        if len(given) != 1:
            raise GenkitError(f"give one of gamma, percentile and rate; got {' and '.join(given) or 'none'}")
        if isinstance(value := getattr(self, given[0]), bool) or not isinstance(value, (int, float)):
            raise GenkitError(f"{given[0]} is a number, got {shown(value)}")
        if self.gamma is not None and math.isnan(self.gamma):
            raise GenkitError("gamma is nan; 0 is exact rejection")
        if self.percentile is not None and not 0 <= self.percentile <= 100:
            raise GenkitError(f"a percentile is from 0 to 100, got {self.percentile:g}")
        if self.rate is not None and not 0 < self.rate < 1:
            raise GenkitError(f"a rate of acceptance is between 0 and 1, got {self.rate:g}")

    def __str__(self) -> str:
        """The setting that was given."""
        return next(f"{k} {v:g}" for k in ("gamma", "percentile", "rate") if (v := getattr(self, k)) is not None)

    def found(self, odds: Tensor) -> float:
        """gamma for F of some samples, (B,).

        Raises:
            GenkitError: no gamma gives the rate.
        """
        if self.gamma is not None:
            return self.gamma
        if self.percentile is not None:
            return _percentile(odds, self.percentile)
        assert self.rate is not None
        return _for_rate(odds, self.rate)


EXACT = Shift(gamma=0.0)


def log_odds(logits: Tensor, log_m: Tensor | float, eps: float = EPS) -> Tensor:
    """F of logits l <= log M, (B,) float64; -inf where l is, +inf where l = log M and eps = 0."""
    below = logits.double() - log_m
    odds = below - (-(below - eps).expm1()).log()
    return torch.where(logits == -math.inf, -math.inf, odds)


def log_acceptance(odds: Tensor, gamma: Tensor | float) -> Tensor:
    """log p = log sigmoid(F - gamma), (B,); what cannot be real is never kept, whatever gamma is."""
    return torch.where(odds == -math.inf, -math.inf, F.logsigmoid(odds - gamma))


def passed(uniforms: Tensor, log_p: Tensor) -> Tensor:
    """Whether log u <= log p, (B,) bool; what cannot be real never passes, by a u of 0 neither."""
    return (uniforms.double().log() <= log_p) & (log_p != -math.inf)


@dataclass(frozen=True)
class Accepted:
    """One pass of the algorithm over B samples in order.

    Attributes:
        odds, log_p: F and log p, (B,).
        kept: (B,) bool.
        gamma, log_m: one a batch.
    """

    odds: Tensor
    log_p: Tensor
    kept: Tensor
    gamma: Tensor
    log_m: Tensor


def accept(
    logits: Tensor,
    uniforms: Tensor,
    shift: Shift = EXACT,
    log_m: float = -math.inf,
    eps: float = EPS,
    batch_size: int | None = None,
) -> Accepted:
    """Algorithm 1 on samples in order: log M is lifted to a batch's largest logit before its samples are decided.

    Args:
        logits, uniforms: (B,); a sample is kept where log u <= log p.
        shift: gamma, found in each batch.
        log_m: the largest logit so far, as of a burn-in.
        batch_size: of the batches that log M and gamma belong to; None takes all samples as one.

    Raises:
        GenkitError: logits that are nan or +inf, none at all, another number of uniforms, a negative eps, or batches
            of none.
    """
    check_logits(logits)
    if not len(logits) or logits.shape != uniforms.shape:
        raise GenkitError(
            f"logits and uniforms are (B,), a sample at least, got {list(logits.shape)} and {list(uniforms.shape)}"
        )
    if not eps >= 0:
        raise GenkitError(f"eps is not negative, got {eps:g}")
    if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
        raise GenkitError(f"batch_size is at least 1, got {shown(batch_size)}; it is a whole number")
    if math.isnan(log_m) or log_m == math.inf:
        raise GenkitError(f"log M must be finite, got {log_m}; a burn-in whose logits are nan or inf cannot be used")
    parts: list[tuple[Tensor, Tensor]] = []
    gammas, largest = [], []
    for batch in logits.double().split(batch_size or max(1, len(logits))):
        log_m = max(log_m, batch.max().item())
        odds = log_odds(batch, log_m, eps)
        gamma = shift.found(odds)
        parts.append((odds, log_acceptance(odds, gamma)))
        gammas.append(gamma)
        largest.append(log_m)
    odds, log_p = (torch.cat(part) for part in zip(*parts, strict=True))
    return Accepted(
        odds, log_p, passed(uniforms, log_p), *(torch.tensor(of, dtype=torch.float64) for of in (gammas, largest))
    )


def check_logits(logits: Tensor) -> Tensor:
    """`logits`, (B,).

    Raises:
        GenkitError: nan or +inf among them; -inf is a sample that cannot be real.
    """
    for value, bad in (("nan", logits.isnan()), ("+inf", logits == math.inf)):
        if bad.any():
            raise GenkitError(
                f"{int(bad.sum())} of {len(logits)} logits are {value}, first at {int(bad.nonzero()[0])}; such a ratio "
                "of densities cannot decide; train its critic longer, or clip its scores"
            )
    return logits


def check_can_finish(n: int, shift: Shift, eps: float, about: str, groups: int = 1) -> None:
    """Raises GenkitError where n samples of each of some groups are too few for a percentile, or too few of them could
    be kept, whatever their logits are."""
    most = 1.0
    if shift.percentile is not None and shift.percentile < 100:
        needed = math.ceil(round(FEWEST * 100 / (100 - shift.percentile), 6))
        if n < needed:
            raise GenkitError(f"percentile {shift.percentile:g} needs at least {needed:,} samples {about}, got {n:,}")
    elif shift.percentile is not None:
        most = 1 / n
    elif shift.rate is not None:
        if shift.rate * MOST_ADVISED > LEAST_KEPT:
            needed = math.ceil(round(LEAST_KEPT / shift.rate, 6))
            check_share(
                shift.rate, n, f"{shift}", f"{n:,} samples {about} are too few, take {groups * needed:,} or more"
            )
        most = shift.rate
    elif shift.gamma is not None and eps > 0:
        most = log_acceptance(log_odds(torch.zeros(1), 0.0, eps), shift.gamma).exp().item()
    check_share(most, n, f"{shift}")


def check_share(
    share: float, n: int, about: str, advice: str = "choose a rate, such as 0.1, or a percentile, such as 80"
) -> None:
    """Raises GenkitError for a share of n samples that one or two outliers decide on."""
    if share * n < LEAST_KEPT:
        raise GenkitError(
            f"a share of {share:.2g} of the samples would be kept ({about}), which would not finish; {advice}"
        )


def _percentile(odds: Tensor, percentile: float) -> float:
    """Linearly interpolated, as NumPy's; beside an infinite value the nearer one."""
    at = odds.sort().values
    place = percentile / 100 * (len(at) - 1)
    low, high = at[math.floor(place)].item(), at[math.ceil(place)].item()
    share = place - math.floor(place)
    if math.isinf(low) or math.isinf(high):
        return high if share >= 0.5 else low
    return low + (high - low) * share


def _for_rate(odds: Tensor, rate: float) -> float:
    """By bisection: the share that is kept falls with gamma."""
    always, never = (odds == math.inf).double().mean().item(), (odds == -math.inf).double().mean().item()
    if not always < rate < 1 - never:
        raise GenkitError(
            f"no gamma keeps a share of {rate:g}: {always:.3g} of the samples are always kept and {never:.3g} never"
        )
    finite = odds[odds.isfinite()]
    low, high = finite.min().item() - 50, finite.max().item() + 50
    while high - low > 1e-12 * max(1.0, abs(low), abs(high)):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        kept = (odds - middle).sigmoid().mean().item()
        low, high = (middle, high) if kept > rate else (low, middle)
    return (low + high) / 2
