"""Runs that benchmarks train once, and what they cost."""

from __future__ import annotations

import time

from genkit.training import train
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder


def train_once(recipe: Recipe, folder: RunFolder) -> None:
    """Trains, or goes on where it was stopped, unless the run is finished; keeps the CPU seconds of all calls.

    What a call that was killed had spent is not known: the seconds are nan then.
    """
    if folder.finished(recipe):
        return
    kept, begun = folder.path / "cpu_seconds", folder.metrics.is_file()
    spent = cpu_seconds(folder) if kept.is_file() else float("nan") if begun else 0.0
    start = time.process_time()
    train(recipe, folder.path, resume=True)
    kept.write_text(str(spent + time.process_time() - start))


def cpu_seconds(folder: RunFolder) -> float:
    return float((folder.path / "cpu_seconds").read_text())
