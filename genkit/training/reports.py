"""Reports of updates, kept on the device until something leaves it: no update waits for a GPU to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from torch import Tensor

from genkit.core.errors import BadState
from genkit.core.known import listed

MOST = 100
"""Reports that are kept at most."""


@dataclass(frozen=True)
class _Report:
    """The scalars of one update of `learner` in iteration `step`, first those that have names."""

    step: int
    learner: str
    named: tuple[str, ...]
    scalars: tuple[Tensor, ...]


class Reports:
    """The reports that nobody has read yet; all processes of a run have equally many, of equal soundness."""

    def __init__(self) -> None:
        self._kept: list[_Report] = []

    @property
    def full(self) -> bool:
        return len(self._kept) >= MOST

    def keep(self, step: int, learner: str, scalars: Mapping[str, Tensor], *others: Tensor) -> None:
        """Keeps the scalars of one update, (), and whatever else is not finite where the update is not."""
        self._kept.append(_Report(step, learner, tuple(scalars), (*scalars.values(), *others)))

    def forget(self) -> None:
        self._kept = []

    def read(self) -> None:
        """Reads what was kept since the last time.

        Raises:
            BadState: an update was not finite; names the first.
        """
        kept, self._kept = self._kept, []
        values = iter(listed([value for report in kept for value in report.scalars]))
        for report in kept:
            found = [next(values) for _ in report.scalars]
            if not all(map(isfinite, found)):
                raise _not_finite(report, dict(zip(report.named, found, strict=False)))


def _not_finite(report: _Report, found: Mapping[str, float]) -> BadState:
    learner, values = report.learner, ", ".join(f"{name} {value:.4g}" for name, value in found.items())
    return BadState(
        f"the {learner}'s loss is not finite ({values}); lower optimizers.{learner}.lr or set "
        "its clip_norm in a new run; with --from this one it begins at the last whole checkpoint, if there is one yet",
        report.step,
    )
