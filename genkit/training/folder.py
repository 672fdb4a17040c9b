"""A run folder: what lies where, who may write to it, and what it was started with."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml

from genkit.errors import CheckpointError
from genkit.files import cannot_write, write_atomically
from genkit.recipe import Recipe, differences
from genkit.training.checkpoint import complete
from genkit.versions import installed, own_source

PACKAGES = ("genkit", "torch", "torchvision", "accelerate", "diffusers", "torchmetrics", "clean-fid", "numpy", "pillow")


class RunFolder:
    """Paths inside a run, and the checks that keep a run what it says it is."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.recipe = self.path / "recipe.yaml"
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.best = self.path / "best.json"
        self.weights = self.path / "weights"
        self.grids = self.path / "grids"
        self.samples = self.path / "samples.png"
        self.scores = self.path / "scores.json"
        self.report = self.path / "report.html"
        self.environment = self.path / "environment.json"

    def grid(self, step: int) -> Path:
        return self.grids / f"{step:08d}.png"

    def open(self, recipe: Recipe, resume: bool) -> None:
        """Makes a new run, or checks that the one here is of the same recipe.

        Raises:
            CheckpointError: as `check`, or no writing here.
        """
        self.check(recipe, resume)
        for leftover in (*self.path.glob(".*.tmp"), *self.weights.glob(".*.tmp")):
            leftover.unlink(missing_ok=True)
        write_atomically(self.recipe, recipe.to_yaml().encode())

    def check(self, recipe: Recipe, resume: bool) -> None:
        """Whether a run of `recipe` may be in this folder; nothing is written.

        Raises:
            CheckpointError: there is a run already and `resume` is false, or its recipe differs, or a file is there.
        """
        if self.recipe.is_file():
            if not resume:
                raise CheckpointError(f"{self.path} holds a run already; go on with --resume or choose another --out")
            self._same(recipe)
        elif self.path.exists() and not self.path.is_dir():
            raise CheckpointError(f"{self.path} is a file; a run needs a folder")

    def _same(self, recipe: Recipe) -> None:
        try:
            old = yaml.safe_load(self.recipe.read_text(encoding="utf-8"))
        except (yaml.YAMLError, OSError, UnicodeDecodeError) as damage:
            raise CheckpointError(f"{self.recipe} cannot be read, so the run cannot go on safely") from damage
        new = yaml.safe_load(recipe.to_yaml())
        changed = list(differences(old if isinstance(old, dict) else {}, new))
        if changed:
            raise CheckpointError(
                f"{self.path} was started with another recipe ({'; '.join(changed[:5])}); "
                "resume with the same one or choose another --out"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Refuses a second process in the same run.

        Raises:
            CheckpointError: it is being trained already, or cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT)
        except OSError as failure:
            raise cannot_write(self.path, failure) from failure
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as busy:
            raise CheckpointError(f"another process is training in {self.path}; wait or choose another --out") from busy
        finally:
            os.close(handle)

    def write_environment(self, recipe: Recipe, **facts: Any) -> None:
        write_atomically(
            self.environment, (json.dumps({**environment(), **facts, "seed": recipe.train.seed}, indent=2)).encode()
        )

    def finished(self, recipe: Recipe) -> bool:
        """Whether the last checkpoint is the last iteration and the weights are written."""
        done = complete(self.checkpoints)
        return bool(done) and done[-1].name == f"step-{recipe.train.steps:08d}" and self.weights.is_dir()


def environment() -> dict[str, Any]:
    """Versions, machine and threads: what a number depends on beside recipe and seed."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "genkit": own_source(),
        "versions": installed(*PACKAGES),
    }
