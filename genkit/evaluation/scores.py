"""The outcome of an evaluation, with everything that its numbers depend on."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from genkit import __version__
from genkit.core.computing import computing
from genkit.core.errors import EvaluationError, shown, suggest
from genkit.core.versions import installed


@dataclass(frozen=True)
class Score:
    """One number.

    Attributes:
        label: its proper name, e.g. FID or FD/mnist-classifier.
        value: the estimate.
        standard_error: its scatter over other samples; None where it cannot be estimated.
        better: "lower" or "higher".
    """

    label: str
    value: float
    standard_error: float | None
    better: str


@dataclass(frozen=True)
class FoundClasses:
    """Classes that a classifier finds in one side.

    Attributes:
        shares: class name -> share of the samples.
        top_probability: mean of the largest probability.
    """

    shares: dict[str, float]
    top_probability: float


@dataclass(frozen=True)
class ScoredSide:
    """One of the two sets.

    Attributes:
        name, kind: see `Source`.
        n: samples used; None for published statistics that do not say.
        rank: numerical rank of the covariance of their features.
        fingerprint: hash of the content; None for samples that were made anew.
        notes: conversions and files left out at intake.
        classes: None unless the extractor is a classifier.
    """

    name: str
    kind: str
    n: int | None
    rank: int
    fingerprint: str | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    classes: FoundClasses | None = None


@dataclass(frozen=True)
class Scores:
    """All scores of `a` against `against`.

    Attributes:
        scores: name -> Score; names as `fd`, `kd`, `precision`, `recall`.
        a, against: the two sets.
        extractor: name, sha256, resize and so on, see `Extractor.describe`.
        dim: of the features.
        n: samples asked for.
        seed: of the samples and of the choice of rows.
        settings: neighbours, splits and the like.
        warnings: to be read before comparing.
        seconds: wall time.
        missing: metric -> why there is no score of it, for those that were left out or turned out not to be computable.
    """

    scores: dict[str, Score]
    a: ScoredSide
    against: ScoredSide
    extractor: dict[str, Any]
    dim: int
    n: int
    seed: int
    settings: dict[str, Any]
    warnings: list[str]
    seconds: float
    missing: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        """The value of a score, by its name in any case, or the name that it is published under.

        A warning says so where it is not called that here, as FD/mnist-classifier is no FID.

        Raises:
            EvaluationError: there is none of this name.
        """
        from genkit.evaluation.metrics.scores_by_name import score_named

        found = name if name in self.scores else score_named(str(name), self.scores)
        if found is None:
            raise EvaluationError(f"no score {shown(name)} here{suggest(name, self.scores)}")
        score = self.scores[found]
        if found.lower() != name.lower() and not score.label.lower().startswith(name.lower()):
            warnings.warn(f"{name} is given as {found}, which is {score.label} here", stacklevel=2)
        return score.value

    @property
    def fewest(self) -> int | None:
        """Samples of the smaller side; None where neither says."""
        return min((side.n for side in (self.a, self.against) if side.n is not None), default=None)

    def __iter__(self) -> Iterator[str]:
        return iter(self.scores)

    def to_json(self) -> dict[str, Any]:
        """Plain data; `values` and `standard_errors` by name, and the settings they depend on."""
        return {
            "values": {name: score.value for name, score in self.scores.items()},
            "standard_errors": {name: score.standard_error for name, score in self.scores.items()},
            "labels": {name: score.label for name, score in self.scores.items()},
            "better": {name: score.better for name, score in self.scores.items()},
            **{k: v for k, v in asdict(self).items() if k != "scores"},
            "versions": versions(),
            "computing": computing().described,
        }


@cache
def versions() -> dict[str, str]:
    """Versions of everything that could move a number."""
    packages = {name: found or "absent" for name, found in installed("torch", "numpy", "pillow", "scipy").items()}
    return {"genkit": __version__, "python": platform.python_version(), **packages}
