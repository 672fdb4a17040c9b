"""Recipes that commands write by themselves: names in them, and their training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genkit.cli.console import display, say
from genkit.core.errors import BadState, CheckpointError, TrainingError
from genkit.training.watcher import TrainingWatcher

if TYPE_CHECKING:
    from genkit.training.recipe import Recipe


def lasting(weights: str) -> str:
    """`weights` as a recipe in another folder names them: a path in full, all else as it is."""
    return str(Path(weights).absolute()) if Path(weights).exists() else weights


def called(out: Path, otherwise: str) -> str:
    """A name for the recipe of a run: that of its folder, as far as a recipe's name may be so."""
    return out.resolve().name.lstrip(".") or otherwise


def train_once(recipe: Recipe, out: Path, resume: bool, line: str = "") -> None:
    """Trains into `out`, or goes on there, unless `resume` finds the training finished.

    Args:
        line: printed before it begins.

    Raises:
        CheckpointError: there is a run already, and it is not to be resumed, or was begun with other options.
        TrainingError: it left the finite numbers.
    """
    from genkit.training import train
    from genkit.training.continuing import OtherRun
    from genkit.training.run_folder import RunFolder

    folder = RunFolder(out)
    if resume and folder.finished(recipe):
        return
    folder.holds_run(resume)
    if line:
        say(line)
    try:
        with display() as shown:
            train(recipe, out, resume=resume, watcher=TrainingWatcher(shown))
    except OtherRun as other:
        raise CheckpointError(
            f"{out} was begun with other options ({other.changes}); --resume with the same ones, or choose another "
            "--out"
        ) from other
    except BadState as fault:
        raise TrainingError(f"{fault} (what is named is of 'genkit train {folder.recipe} --out {out}')") from fault
