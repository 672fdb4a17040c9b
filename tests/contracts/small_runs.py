"""Shipped recipes made small, and `genkit train` of them in processes, which may be killed.

No test is here: the processes import what they run, and a module of tests makes all its cases first.
"""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from benchmarks.small_recipes import few_statistics, read, shrunk, trainings
from tests.training.tiny import child, wait_for_checkpoints

STEPS, CHECKPOINT, DEATH = 3, 1, 1
FAMILIES = ("digits/wgan_ratio_clipping", "fashion_mnist/transgan", "mnist/classifier")


def write(name: str, folder: Path, *, eps: float = 0.0, **train: Any) -> Path:
    """The recipe `name`, small, as a file; `eps` of Adam and its kin, if not the recipe's own."""
    tree = shrunk(read(name), STEPS, CHECKPOINT)
    for training in trainings(tree):
        training["train"] |= train
        for optimizer in training["optimizers"].values():
            if optimizer["type"] != "sgd" and eps:
                optimizer["eps"] = eps
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return path


def command_line(*arguments: str, dies_in: int | None = None, reports: bool = False) -> None:
    """The work of a process that was started as `genkit train ...`."""
    from genkit.cli.main import main

    few_statistics()
    if not reports:
        empty_reports()
    if dies_in is not None:
        die_in(dies_in)
    code = main(["train", *arguments])
    if code:
        raise SystemExit(code)


def empty_reports() -> None:
    """A third of the time of a small run would be its curves."""
    from genkit.training import report

    report._training = lambda folder, recipe: {}  # type: ignore[assignment]
    report._page = lambda whole, stages, under_way: ""  # type: ignore[assignment]


def die_in(iteration: int) -> None:
    """SIGKILL when iteration `iteration` (from 0) has moved the weights; what came before is on the disk, it is not."""
    from genkit.training.trainer import Trainer

    honest = Trainer.iterate

    def iterate(self: Trainer) -> Any:
        scalars = honest(self)
        if self.step == iteration + 1:
            wait_for_checkpoints()
            os.kill(os.getpid(), signal.SIGKILL)
        return scalars

    Trainer.iterate = iterate  # type: ignore[method-assign]


def alone(recipe: Path, out: Path, **how: Any) -> int | None:
    process = child(partial(command_line, **how), str(recipe), "--out", str(out), "--resume")
    process.join(300)
    return process.exitcode
