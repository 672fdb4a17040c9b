"""Listeners to the progress of a run."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """A listener to the progress of a run; only the first process calls it."""

    def iteration(self, step: int, steps: int, scalars: dict[str, float] | None) -> None: ...
    def note(self, line: str) -> None: ...
    def scoring(self, done: int, total: int) -> None: ...


class Silence:
    """A Watcher that says nothing."""

    def iteration(self, step: int, steps: int, scalars: dict[str, float] | None) -> None: ...
    def note(self, line: str) -> None: ...
    def scoring(self, done: int, total: int) -> None: ...
