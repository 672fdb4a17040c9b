"""Runs that benchmarks train once, and what they cost."""

from __future__ import annotations

import time

from genkit.training import train
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder


def train_once(recipe: Recipe, folder: RunFolder) -> None:
    """Trains, or goes on where it was stopped, unless the run is finished; keeps the CPU seconds of the last call."""
    if folder.finished(recipe):
        return
    start = time.process_time()
    train(recipe, folder.path, resume=True)
    (folder.path / "cpu_seconds").write_text(str(time.process_time() - start))


def cpu_seconds(folder: RunFolder) -> float:
    return float((folder.path / "cpu_seconds").read_text())
