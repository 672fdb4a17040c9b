"""log p_data(x) / p_generator(x), read off a critic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from genkit.core.calls import asked, takes_condition
from genkit.core.condition import Condition
from genkit.core.errors import GenkitError, RecipeError, shown
from genkit.core.known import known
from genkit.core.precision import wide
from genkit.core.pretrained import Pretrained
from genkit.posthoc.rejection.calibration import Calibrator


class RatioHead(Pretrained, nn.Module):
    """A logistic head on features of a critic: (B, feature_dim) -> logits (B,).

    Args:
        feature_dim: of the features.
        width: of a hidden layer with leaky ReLU; 0 for a linear head.
    """

    def __init__(self, feature_dim: Annotated[int, Field(ge=1)], width: Annotated[int, Field(ge=0, le=65536)] = 0):
        super().__init__()
        self.feature_dim = feature_dim
        hidden = [nn.Linear(feature_dim, width), nn.LeakyReLU(0.2)] if width else []
        self.layers = nn.Sequential(*hidden, nn.Linear(width or feature_dim, 1))

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.layers(features).squeeze(1)
        return logits


class DensityRatio(Pretrained, nn.Module):
    """The log ratio of the densities of data and generator, (B,) float64.

    A critic of the logistic loss says it itself at its best (Goodfellow et al. 2014, Proposition 1); for any other, a
    head or a calibration is needed.

    Args:
        critic: (x, condition) -> scores (B,); with a head, `features` (B, feature_dim) too.
        head: reads the ratio off the critic's features.
        calibration: of the scores.
        prior: log(n_real / n_made) of the samples that it was fitted to, which is taken off the logits.

    Raises:
        RecipeError: a head on a critic without features of its width.
    """

    def __init__(
        self,
        critic: nn.Module,
        head: RatioHead | None = None,
        calibration: Calibrator | None = None,
        prior: float = 0.0,
    ):
        super().__init__()
        self.critic, self.head, self.calibration = critic, head, calibration
        if not math.isfinite(prior):
            raise RecipeError(f"prior: log(n_real / n_made) must be finite, got {prior}")
        self.prior = prior
        if head and getattr(critic, "feature_dim", None) != head.feature_dim:
            raise RecipeError(
                f"head: {type(critic).__name__} has {_features_of(critic)}, and the head takes {head.feature_dim}"
            )

    @property
    def sample_shape(self) -> tuple[int, ...] | None:
        """Of the samples it judges; None where the critic does not say."""
        shape = getattr(self.critic, "sample_shape", None)
        return tuple(shape) if shape else None

    @property
    def smooth(self) -> bool:
        """Whether it has a useful gradient by x."""
        return self.calibration is None or self.calibration.smooth

    @property
    def prior(self) -> float:
        return self._prior

    @prior.setter
    def prior(self, prior: float) -> None:
        self._prior = self.config["prior"] = float(prior)

    def forward(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.of_scores(self.scores(x, condition))

    def of_scores(self, scores: Tensor) -> Tensor:
        """The ratio that `scores` (B,) stand for."""
        return (self.calibration(scores) if self.calibration else wide(scores)) - self.prior

    def scores(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Of the critic or its head, before the calibration, (B,).

        Raises:
            GenkitError: not one number a sample.
        """
        if self.head:
            critic: Any = self.critic
            found: Tensor = self.head(critic.features(x))
        else:
            found = self.critic(x, condition)
        return _one_each(found, x, "a critic gives one score a sample")


def _features_of(critic: nn.Module) -> str:
    width = getattr(critic, "feature_dim", None)
    return f"features of width {width}" if width else "no features"


def logits_of(ratio: nn.Module, x: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
    """Log ratios (B,) float64 of x; by any module that takes (x, condition), or x alone.

    Raises:
        GenkitError: not one number a sample.
    """
    found: Tensor = ratio(x, condition) if isinstance(ratio, DensityRatio) else asked(ratio, x, condition)
    return wide(_one_each(found, x, "a ratio of densities is one number a sample"))


def classes_judged(ratio: nn.Module) -> int:
    """Classes of which the critic must be told one with each sample; 0 where it judges samples alone."""
    critic = ratio.critic if isinstance(ratio, DensityRatio) else ratio
    alone = (isinstance(ratio, DensityRatio) and ratio.head) or not takes_condition(critic)
    return 0 if alone else getattr(critic, "classes", 0)


def check_of_a_class(ratio: nn.Module, label: Tensor) -> None:
    """Raises GenkitError for samples whose class was left to the generator, where the critic judges one of a class."""
    if (classes := classes_judged(ratio)) and not known((label >= 0).all()):
        raise GenkitError(
            f"the ratio's critic judges samples of one of {classes} classes, and the class was left to the generator: "
            "ask for one, or take a critic without classes (--ratio fresh)"
        )


def _one_each(found: Tensor, x: Tensor, wanted: str) -> Tensor:
    """(B, 1) or (B,) -> (B,)."""
    if not isinstance(found, Tensor):
        raise GenkitError(f"{wanted}, a tensor ({len(x)},); got {shown(found)}")
    if found.shape == (len(x), 1):
        return found.squeeze(1)
    if found.shape != (len(x),):
        raise GenkitError(f"{wanted}, ({len(x)},); got {tuple(found.shape)}")
    return found


def check_shape(ratio: nn.Module, sample_shape: tuple[int, ...]) -> None:
    """Raises RecipeError where the ratio judges samples of another shape than the generator's."""
    judged = getattr(ratio, "sample_shape", None)
    if judged is not None and tuple(judged) != tuple(sample_shape):
        raise RecipeError(f"ratio: it judges {list(judged)}, and the generator makes {list(sample_shape)}")
