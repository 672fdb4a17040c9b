"""The best checkpoint of a run by the score that its recipe names: kept apart from the others, which come and go."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TypedDict

from genkit.core.files import cannot_write
from genkit.training.checkpoint import publish


class Best(TypedDict):
    """Its score by `metric`, and the name of its folder."""

    metric: str
    value: float
    checkpoint: str


def best_name(step: int, falls: int) -> str:
    """The name of the best checkpoint if it is of iteration `step`: after a fall the same iteration is another one."""
    return f"best-{step:08d}-{falls}"


def best_known(best: Best | None, found: Path, here: str, metric: str | None, main: bool) -> Best | None:
    """The best so far as checkpoint `found` has it; None where it is by another metric, or gone.

    A run that was killed before it kept `found`, whose own name as the best is `here`, apart does so now.
    """
    if best is None or (metric and best["metric"] != metric):
        return None
    kept = found.with_name(best["checkpoint"])
    if main and kept.name == here and not kept.is_dir():
        keep_apart(found, kept)
    return best if kept.is_dir() else None


def keep_apart(checkpoint: Path, final: Path) -> None:
    """Keeps `checkpoint` once more as `final`, beside the others, which come and go; linked where it can be."""
    temporary = final.with_name(f".{final.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        shutil.copytree(checkpoint, temporary, copy_function=_link)
        publish(temporary, final)
    except OSError as failure:
        shutil.rmtree(temporary, ignore_errors=True)
        raise cannot_write(final, failure) from failure


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copy2(source, target)
