"""Runs that benchmarks train once, what they cost, and what was measured of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from genkit.core.files import write_atomically
from genkit.training import train
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder


def train_once(recipe: Recipe, folder: RunFolder, start: str | None = None) -> None:
    """Trains, or goes on where it was stopped, unless the run is finished; keeps the CPU seconds of all calls.

    A training begins from the weights `start`, where there are some. What a call that was killed had spent is not
    known: the seconds are nan then.
    """
    if folder.finished(recipe):
        return
    kept, begun = folder.path / "cpu_seconds", folder.metrics.is_file()
    spent = cpu_seconds(folder) if kept.is_file() else float("nan") if begun else 0.0
    before = time.process_time()
    train(recipe, folder.path, resume=True, start=None if begun else start)
    kept.write_text(str(spent + time.process_time() - before))


def cpu_seconds(folder: RunFolder) -> float:
    return float((folder.path / "cpu_seconds").read_text())


def kept(path: Path, measure: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """The result of `measure`, from its file if it was measured before."""
    if not path.is_file():
        write_atomically(path, json.dumps(measure()).encode())
    found: dict[str, Any] = json.loads(path.read_text())
    return found
