"""Listeners to the progress of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from genkit.core.display import Display

MAIN_LOSSES = ("loss", "real", "fake")


class Watcher(Protocol):
    """A listener to the progress of a run; only the first process calls it.

    `work` is what is done between iterations, such as scoring: `done` of `total` samples.
    """

    def iteration(self, step: int, steps: int, scalars: dict[str, float] | None) -> None: ...
    def note(self, line: str) -> None: ...
    def work(self, what: str, done: int, total: int) -> None: ...


class Silence:
    """A Watcher that says nothing."""

    def iteration(self, step: int, steps: int, scalars: dict[str, float] | None) -> None: ...
    def note(self, line: str) -> None: ...
    def work(self, what: str, done: int, total: int) -> None: ...


class TrainingWatcher:
    """A Watcher that shows the run on a display.

    Args:
        title: a line for the first iteration, before which a run may yet be refused.
    """

    def __init__(self, display: Display, title: str = ""):
        self.display, self.title, self.detail, self.step = display, title, "", 0

    def iteration(self, step: int, steps: int, scalars: dict[str, float] | None) -> None:
        if self.title:
            self.display.note(self.title)
            self.title = ""
        kept = self.detail if step > self.step else ""  # another stage begins at its first iteration
        self.step, self.detail = step, losses(scalars) if scalars else kept
        self.display.advance("training", "it", step, steps, self.detail)

    def note(self, line: str) -> None:
        self.display.note(line)

    def work(self, what: str, done: int, total: int) -> None:
        self.display.advance(what, "sample", done, total)


def losses(scalars: Mapping[str, float]) -> str:
    """The terms that say how the game stands, by learner: 'critic real -3.2 fake 1.1, generator loss -0.03'."""
    shown: dict[str, list[str]] = {}
    for name, value in scalars.items():
        learner, _, term = name.rpartition("/")
        if term in MAIN_LOSSES:
            shown.setdefault(learner, []).append(f"{term} {value:.3g}")
    if not shown:
        return ", ".join(f"{name} {value:.3g}" for name, value in list(scalars.items())[:3])
    return ", ".join(f"{learner} {' '.join(terms)}" for learner, terms in shown.items())
