"""Who is told how a run goes."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Who is told how a run goes; only the first process tells."""

    def iteration(self, step: int, steps: int, scalars: dict[str, float] | None) -> None: ...
    def note(self, line: str) -> None: ...
    def scoring(self, done: int, total: int) -> None: ...


class Silence:
    """A Watcher that says nothing."""

    def iteration(self, step: int, steps: int, scalars: dict[str, float] | None) -> None: ...
    def note(self, line: str) -> None: ...
    def scoring(self, done: int, total: int) -> None: ...
