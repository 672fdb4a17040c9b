"""Going back from a useless state to the last good checkpoint, and on from there with lower learning rates.

A run that falls again before it has a checkpoint later than its last fall goes back one checkpoint further each time.
Every checkpoint from then on records the falls, so that a resumed run goes back at the same places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import TypedDict

from genkit.core.documents import read_mapping
from genkit.core.errors import BadState, one_line
from genkit.training.checkpoint import complete, newest_good, step_of
from genkit.training.recipe import Rollback
from genkit.training.unfinished import STATE


class Fall(TypedDict):
    """One time that a run went back: from iteration `at` to iteration `to`, its rates multiplied by `lr`."""

    at: int
    to: int
    lr: float
    why: str


def slower(falls: Sequence[Fall]) -> float:
    """The factor of the learning rates after all these falls."""
    return prod(fall["lr"] for fall in falls)


def ended(falls: Sequence[Fall], rule: Rollback | None) -> bool:
    """Whether a run with this section ends, since it fell too often."""
    return rule is not None and len(falls) > rule.at_most


def good_before(checkpoints: Path, falls: Sequence[Fall], warn: Callable[[str], None]) -> Path:
    """The newest good checkpoint if it is later than the last fall, else the one before that fall's target.

    So a run that falls again and again at one place goes back ever further, beyond its best checkpoint too, which is
    kept apart. Those that only a signal has left do not count: a run that was stopped goes back as far as one that was
    not.

    Raises:
        BadState: there is none.
    """
    found = newest_good(checkpoints, warn, undisturbed=True)
    if found and falls and step_of(found) <= falls[-1]["at"]:
        last = found.with_name(f"step-{falls[-1]['to']:08d}")
        found = newest_good(checkpoints, warn, last, undisturbed=True) or (last if last.is_dir() else found)
    if not found:
        raise BadState("no checkpoint is left to go back to")
    return found


def advised(fault: BadState, step: int, rule: Rollback | None) -> BadState:
    """`fault`, which ends a run in iteration `step`, with what can be done where the recipe does not go back."""
    if rule is not None:
        return fault
    why = one_line(f"{fault.why}, or go on with --resume rollback.lr=0.5")
    return BadState(why, step if fault.step is None else fault.step)


def check_learned(step: int, falls: Sequence[Fall]) -> None:
    """Refuses to hand over weights of iteration `step` that nothing was learned in, however often a run tried.

    Raises:
        BadState: the run went back to its start for good.
    """
    if falls and step == 0:
        raise BadState(
            f"nothing was learned: the run went back {len(falls)} times, at last to its start. {falls[-1]['why']}. "
            "Begin with lower learning rates (optimizers), or save earlier (every.checkpoint)"
        )


def falls_of(checkpoints: Path) -> list[Fall]:
    """The falls of a run so far, read from its newest checkpoint."""
    done = complete(checkpoints)
    found = read_mapping(done[-1] / STATE).get("falls", []) if done else []
    return found if isinstance(found, list) else []


def last_fall(falls: Sequence[Fall], rule: Rollback) -> str:
    """The last fall in one line."""
    last = falls[-1]
    then = "where the run ends" if ended(falls, rule) else f"on with learning rates x {slower(falls):.3g}"
    return f"iteration {last['at']:,}: {last['why']}; back to iteration {last['to']:,}, {then}"
