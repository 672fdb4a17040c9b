"""Choice of the scores that can be computed of two sides, before a sample is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from torch import nn

from genkit.core.errors import EvaluationError
from genkit.core.mixture import PointMixture
from genkit.evaluation.extractors.choice import FEATURES_ALONE
from genkit.evaluation.extractors.extractor import Extractor
from genkit.evaluation.metrics.metric import CENTRES, LOGITS, NO_LOGITS, SAMPLES
from genkit.evaluation.metrics.scores_by_name import Missing, check_metrics, metric_named
from genkit.evaluation.sources import Source
from genkit.evaluation.statistics_file import Statistics

DEFAULTS = ("fd", "kd", "pr")
"""Scored where nothing is asked for, and `modes` where the reference has some."""

NO_CENTRES = "a reference with known centres, such as gaussians25 or gaussians8, is needed"


class Wanted:
    """The metrics of one evaluation, narrowed as more becomes known.

    A metric that was asked for by name and that cannot be had is refused; one of the default is left out.

    Attributes:
        names: of the metrics that remain.
        missing: metric -> the reason why it was left out.
        lines: about names that were understood as others.

    Args:
        metrics: names, or None for the default.
        n: samples of each side.

    Raises:
        EvaluationError: an unknown name, or a metric that n is too small for.
    """

    def __init__(self, metrics: Sequence[str] | None, n: int):
        self.names, self.lines = check_metrics(DEFAULTS if metrics is None else metrics)
        self.missing = Missing()
        self.by_name, self.n = metrics is not None, n
        self._narrow(lambda name: too_few(name, n, "the number of samples"))

    def of(self, side: Source | Statistics) -> None:
        """Narrows the metrics once a side is known.

        Raises:
            EvaluationError: it cannot give a metric that was asked for, or none at all.
        """
        if isinstance(side, Statistics):
            self.of_statistics(side.name)
        elif side.available is not None:
            self.of_rows(side.available, side.name)

    def of_statistics(self, side: str) -> None:
        """Narrows the metrics once it is known that a side of this name is statistics, even before they are read."""
        none = f"{side} holds a mean and a covariance only, and no samples"
        self._narrow(lambda name: none if _needs(name, SAMPLES) else "")

    def of_rows(self, available: int, name: str) -> None:
        """Narrows the metrics once the number of samples of a side is known."""
        self._narrow(lambda metric: too_few(metric, min(self.n, available), name))

    def by_name_of(self, extractor: Extractor | nn.Module | str | Path | None) -> None:
        """Narrows the metrics once the extractor is chosen, before its weights are read."""
        self.by(False if str(extractor) in FEATURES_ALONE else None)

    def by(self, logits: bool | None) -> None:
        """Narrows the metrics once it is known whether the extractor gives logits; None is unknown."""
        if logits is False:
            self._narrow(lambda name: NO_LOGITS if _needs(name, LOGITS) else "")

    def over(self, mixture: PointMixture | None, name: str) -> None:
        """Adds or removes `modes` once it is known whether the reference is a mixture."""
        if mixture is not None and not self.by_name:
            self.names += ("modes",)
        none = f"{NO_CENTRES}; {name} has none"
        self._narrow(lambda metric: none if _needs(metric, CENTRES) and mixture is None else "")

    def _narrow(self, why_not: Callable[[str], str]) -> None:
        reasons = {name: reason for name in self.names if (reason := why_not(name))}
        if reasons and (self.by_name or len(reasons) == len(self.names)):
            name, reason = next(iter(reasons.items()))
            raise EvaluationError(f"metric {name}: {reason}")
        self.missing |= reasons
        self.names = tuple(name for name in self.names if name not in reasons)


def too_few(metric: str, have: int, whose: str) -> str:
    """Why `have` samples are not enough for a metric; empty where they are."""
    least, instead = metric_named(metric).least, metric_named(metric).instead
    if have >= least:
        return ""
    return f"{whose}: got {'1 sample' if have == 1 else f'{have} samples'}, at least {least} are needed{instead}"


def _needs(metric: str, need: str) -> bool:
    return need in metric_named(metric).needs


def left_out(missing: Mapping[str, str]) -> Iterator[str]:
    """A warning for each reason, with the metrics that it keeps away."""
    for reason in dict.fromkeys(missing.values()):
        yield f"without {', '.join(name for name in missing if missing[name] == reason)}: {reason}"


def check_fit(judge: Extractor, sides: Sequence[Source | Statistics]) -> None:
    """Raises EvaluationError for sides that cannot be compared, or not by this extractor."""
    for side in sides:
        if isinstance(side, Statistics):
            side.check(judge)
        elif None not in (side.points, judge.of_points) and side.points != judge.of_points:
            held, taken = ("points", "images") if side.points else ("images", "points")
            raise EvaluationError(f"{side.name} holds {held}, but extractor {judge.name} takes {taken}")
    shapes = {side.name: side.sample_shape for side in sides if isinstance(side, Source) and side.points}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {list(shape or ())}" for name, shape in shapes.items())
        raise EvaluationError(f"points of different dimensions cannot be compared: {listed}")
