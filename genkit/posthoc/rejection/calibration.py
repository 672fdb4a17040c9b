"""From scores of a critic to log ratios of densities: maps of one number, and how far they can be trusted.

Turner et al. 2019, arXiv:1811.11357, Section 3.2; Platt 1999; Zadrozny and Elkan 2002; Dawid 1997 for Z.
The maps are fitted by scikit-learn.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genkit.core.errors import GenkitError
from genkit.core.precision import KeepsFloat64, wide
from genkit.core.pretrained import Pretrained

BINS = 10
BAD_Z, BAD_ECE = 3.0, 0.05
"""Beyond these the logits are not to be trusted as log ratios."""


class Calibrator(KeepsFloat64, Pretrained, nn.Module, ABC):
    """Scores (B,) -> logits (B,) float64 of being real.

    Attributes:
        smooth: whether it has a useful gradient.
    """

    smooth: bool = True

    @abstractmethod
    def forward(self, score: Tensor) -> Tensor: ...

    @abstractmethod
    def fit(self, score: Tensor, real: Tensor) -> None:
        """Fits scores (n,) of samples that are real, (n,) bool, or made.

        Raises:
            GenkitError: of one kind alone, or scores that are not finite.
        """


class Platt(Calibrator):
    """scale * score + shift, of the greatest likelihood. An order that the scores have wrong it cannot mend.

    Where the scores tell all apart, the likelihood has no greatest value: there it is that of Platt's targets,
    (n + 1) / (n + 2) and 1 / (n + 2) of n samples of a kind in place of 1 and 0.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))
        self.register_buffer("shift", torch.zeros((), dtype=torch.float64))

    def forward(self, score: Tensor) -> Tensor:
        return self.scale * wide(score) + self.shift

    def fit(self, score: Tensor, real: Tensor) -> None:
        from sklearn.linear_model import LogisticRegression

        x, y = _checked(score, real)
        mean, deviation = x.mean(), x.std(correction=0)
        if deviation == 0:
            self.scale.fill_(0)
            self.shift.fill_(y.double().mean().logit())
            return
        apart = x[y].min() >= x[~y].max() or x[~y].min() >= x[y].max()
        count = torch.where(y, y.sum(), (~y).sum())
        target = torch.where(y, count + 1, 1) / (count + 2).double() if apart else y.double()
        model = LogisticRegression(C=math.inf, solver="newton-cholesky", tol=1e-12, max_iter=1000)
        twice, kinds = torch.cat([x, x]), torch.arange(2 * len(x)) < len(x)
        weight = torch.cat([target, 1 - target])
        model.fit(((twice - mean) / deviation)[:, None].numpy(), kinds.numpy(), weight.numpy())
        scale = float(model.coef_[0, 0]) / deviation
        self.scale.fill_(scale)
        self.shift.fill_(float(model.intercept_[0]) - scale * mean)


class Isotonic(Calibrator):
    """The monotone map of the least squared error, linear between `knots` scores; constant beyond them.

    Args:
        knots: how many points the map is kept at.
        clip: how near to 0 and 1 probabilities come. None takes 1 / (n + 2), since n samples show nothing more extreme.
            By MH-GAN's 1e-14 there are logits of 32, which a chain never leaves, and which make M of a rejection.
    """

    smooth = False
    at: Tensor
    p: Tensor
    least: Tensor

    def __init__(self, knots: int = 0, clip: Annotated[float, Field(gt=0, lt=0.5)] | None = None):
        super().__init__()
        self.clip = clip
        self.register_buffer("at", torch.arange(knots, dtype=torch.float64))
        self.register_buffer("p", torch.full((knots,), 0.5, dtype=torch.float64))
        self.register_buffer("least", torch.tensor(clip or 1e-14, dtype=torch.float64))

    def forward(self, score: Tensor) -> Tensor:
        if not len(self.at):
            raise GenkitError("an isotonic calibration knows nothing before it is fitted")
        if len(self.at) == 1:
            p = self.p.expand(len(score))
        else:
            x = wide(score).clamp(self.at[0], self.at[-1])
            right = torch.searchsorted(self.at, x.contiguous()).clamp(1, len(self.at) - 1)
            low, high = self.at[right - 1], self.at[right]
            p = self.p[right - 1].lerp(self.p[right], (x - low) / (high - low))
        return p.clamp(self.least, 1 - self.least).logit()

    def fit(self, score: Tensor, real: Tensor) -> None:
        from sklearn.isotonic import IsotonicRegression

        x, y = _checked(score, real)
        model: Any = IsotonicRegression(out_of_bounds="clip").fit(x.numpy(), y.double().numpy())
        knots, p = (
            torch.from_numpy(of).double().to(self.at.device) for of in (model.X_thresholds_, model.y_thresholds_)
        )
        self.at, self.p = knots, p
        self.least.fill_(self.clip or 1 / (len(x) + 2))
        self.config["knots"] = len(self.at)


def _checked(score: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    if not score.isfinite().all():
        raise GenkitError(
            f"{int((~score.isfinite()).sum())} of {len(score)} scores are not finite; train the critic longer"
        )
    if real.all() or not real.any():
        raise GenkitError("a calibration needs scores of real samples and of made ones")
    return score.detach().cpu().double(), real.cpu()


@dataclass(frozen=True)
class Reliability:
    """The quality of logits that samples are real.

    Attributes:
        bce: mean cross-entropy in nats; log 2 where nothing can be told, and log 2 - JSD(data, generator) at best.
        error: standard error of `bce`.
        chance: cross-entropy of the share of real samples; log 2 where there are as many made ones.
        ece: expected calibration error over ten bins of probability.
        z: Dawid's Z, standard normal if the probabilities are true.
        curve: (probability said, share that is real, number) of each bin that holds any.
    """

    bce: float
    ece: float
    z: float
    curve: tuple[tuple[float, float, int], ...]
    error: float
    chance: float

    def values(self) -> dict[str, float]:
        return {"bce": self.bce, "ece": self.ece, "z": self.z}

    @property
    def trusted(self) -> bool:
        return abs(self.z) <= BAD_Z and self.ece <= self.most_ece

    @property
    def most_ece(self) -> float:
        """The calibration error up to which logits are trusted: no less than what true ones get of so few samples.

        In a bin of n samples the share that is real scatters by sqrt(p (1 - p) / n) around p.
        """
        total = sum(n for _, _, n in self.curve)
        scatter = [n / total * math.sqrt(p * (1 - p) / n) for p, _, n in self.curve]
        mean, deviation = math.sqrt(2 / math.pi), math.sqrt(1 - 2 / math.pi)  # of the size of a normal number
        return max(BAD_ECE, mean * sum(scatter) + 2 * deviation * math.hypot(*scatter))

    def remarks(self, advice: str = "train it longer, or calibrate it") -> list[str]:
        """Warnings that end with `advice`, where there are some."""
        found = list[str]()
        if not self.trusted:
            found.append(
                f"the ratio is not calibrated: Z {_in_digits(self.z)} (|Z| up to {BAD_Z:g} is chance), calibration "
                f"error {self.ece:.3f} (up to {self.most_ece:.2g}); {advice}"
            )
        if self.bce > self.chance - 2 * self.error:
            found.append(
                f"the ratio tells real samples from made ones no better than chance (cross-entropy {self.bce:.3f}, "
                f"chance {self.chance:.3f}), so that nothing is gained by it; {advice}"
            )
        return found


def _in_digits(z: float) -> str:
    return f"{z:.1f}" if abs(z) < 1e4 else f"{z:.1g}"


def reliability(logits: Tensor, real: Tensor) -> Reliability:
    """Of logits (n,) of samples that were not fitted to, real, (n,) bool, or made."""
    logits, y = logits.cpu().double(), real.cpu().double()
    p = logits.sigmoid()
    losses = F.softplus(torch.where(y > 0, -logits, logits))  # of logits of -inf too, which cannot be real
    share = torch.stack([y.mean(), 1 - y.mean()])
    z = ((y - p).sum() / (p * (1 - p)).sum().clamp(min=1e-300).sqrt()).item()
    bins = (p * BINS).long().clamp(max=BINS - 1)
    curve = tuple(
        (p[bins == k].mean().item(), y[bins == k].mean().item(), int((bins == k).sum()))
        for k in range(BINS)
        if (bins == k).any()
    )
    ece = sum(n * abs(said - found) for said, found, n in curve) / len(y)
    error = losses.std().item() / len(y) ** 0.5 if losses.isfinite().all() else math.inf
    chance = torch.special.entr(share).sum().item()
    return Reliability(losses.mean().item(), ece, z, curve, error, chance)
