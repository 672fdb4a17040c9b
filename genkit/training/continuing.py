"""Changes that are allowed when a run is resumed, and how they are recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from genkit.core.errors import CheckpointError
from genkit.training.recipe import Train, differences

HARMLESS = ("name", "description", "every", "evaluate", "rollback", "train.trackers", "data")
"""Keys of a recipe, with all below them, that do not change the weights, or as `rollback` only bad ones. Data under
another name are compared by their content, once they are read."""

LONGER = "train.steps"
SHOWN = 5
"""Changes that one line names."""


class OtherRun(CheckpointError):
    """A run cannot go on with another recipe or other data.

    Attributes:
        changes: of them, for messages.
    """

    def __init__(self, message: str, changes: str):
        super().__init__(message)
        self.changes = changes


def check_recipe(old: Mapping[str, Any], new: Mapping[str, Any], done: int, run: object) -> list[str]:
    """The changes of a recipe that a run may go on with, as `key.path: old -> new`.

    `train.steps` may change to any number not below `done`; learning-rate schedules that depend on it follow.

    Args:
        done: iterations that the run has done.
        run: its folder, for messages.

    Raises:
        OtherRun: another change, which would make it another run, or fewer iterations than it has done.
    """
    if other := refused(old, new):
        changes = "; ".join(other[:SHOWN])
        raise OtherRun(
            f"{run} was started with another recipe ({changes}); resume with the same one, or start a new run from its "
            f"weights with genkit train --from {run} and another --out",
            changes,
        )
    steps = int(new["train"]["steps"])
    if steps < done:
        raise OtherRun(
            f"{run} has done {done:,} iterations already; {LONGER} must be at least that, got {steps:,}",
            f"{steps:,} iterations, and {done:,} are done",
        )
    return list(differences(old, new))


def refused(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The changes of a recipe that would make it another run."""
    changed = differences(old, new)
    return [line for line in changed if not _harmless(key := line.partition(": ")[0]) and key != LONGER]


def with_todays_defaults(old: Mapping[str, Any]) -> dict[str, Any]:
    """Adds keys of `train` that an older version did not have, with their defaults."""
    defaults = {f.name: f.default for f in fields(Train) if f.default is not MISSING}
    return {**old, "train": {**defaults, **old["train"]}} if isinstance(old.get("train"), Mapping) else dict(old)


def _harmless(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in HARMLESS)


def environment_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """`name: old -> new` for each entry that both environments have and that differs."""
    return [f"{k}: {_plain(a)} -> {_plain(b)}" for k, a, b in _leaves(old, new) if a != b]


def _leaves(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in (k for k in new if k in old):
        if isinstance(old[key], Mapping) and isinstance(new[key], Mapping):
            yield from _leaves(old[key], new[key])
        else:
            yield str(key), old[key], new[key]


def _plain(value: Any) -> str:
    return "none" if value is None else str(value)


def in_a_line(changes: Sequence[str]) -> str:
    """`a; b; ... and 3 more`."""
    more = f"; and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    return "; ".join(changes[:SHOWN]) + more
