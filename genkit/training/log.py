"""Scalars of a run: averaged over an interval, one JSON line each, and to accelerate's trackers."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from genkit.core.documents import Unreadable, parse_json
from genkit.core.files import cannot_write, write_atomically
from genkit.core.known import listed

MOST = 100
"""Iterations whose scalars wait at most."""


class Window:
    """Sums of scalars since the last line of the log; they stay on the device until somebody asks."""

    def __init__(self) -> None:
        self._unread: list[Mapping[str, Tensor]] = []
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, scalars: Mapping[str, Tensor]) -> None:
        self._unread.append(scalars)
        if len(self._unread) == MOST:
            self._read()

    def _read(self) -> None:
        values = iter(listed([value for row in self._unread for value in row.values()]))
        for name in (name for row in self._unread for name in row):
            self._sums[name] = self._sums.get(name, 0.0) + next(values)
            self._counts[name] = self._counts.get(name, 0) + 1
        self._unread = []

    def close(self, accelerator: Accelerator) -> dict[str, float]:
        """The means over the interval and over processes; starts the next interval."""
        self._read()
        means = {name: self._sums[name] / self._counts[name] for name in sorted(self._sums)}
        self._sums, self._counts = {}, {}
        if accelerator.num_processes == 1 or not means:
            return means
        mine = torch.tensor([*means.values()], dtype=torch.float64, device=accelerator.device)
        return dict(zip(means, accelerator.reduce(mine, "mean").tolist(), strict=True))

    def state(self) -> dict[str, Any]:
        """For JSON: name -> [sum, count]."""
        self._read()
        return {name: [value, self._counts[name]] for name, value in self._sums.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._unread = []
        self._sums = {name: float(value) for name, (value, _) in state.items()}
        self._counts = {name: count for name, (_, count) in state.items()}


class MetricsLog:
    """`metrics.jsonl`: one line {"step": ..., "seconds": ..., name: value, ...}; scores are called eval/...

    Attributes:
        lines: number of lines, which a checkpoint remembers.
    """

    def __init__(self, path: Path):
        self.path, self.started, self.lines = path, time.monotonic(), 0

    def rewind(self, lines: int) -> None:
        """Keeps the first `lines`, as they were at a checkpoint; drops later ones, and one that a kill cut short."""
        rows = [json.dumps(row) for row in read_metrics(self.path, lines)]
        write_atomically(self.path, "".join(f"{row}\n" for row in rows).encode())
        self.lines = len(rows)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        row = {"step": step, "seconds": round(time.monotonic() - self.started, 3), **scalars}
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as failure:
            raise cannot_write(self.path, failure) from failure
        self.lines += 1


def read_metrics(path: Path, first: int | None = None) -> list[dict[str, Any]]:
    """The whole lines of a metrics file, or of its first `first` lines: numbers by name, with a step.

    A line that is anything else is passed over: a log must not keep a run from going on.
    """
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:first]
    return [row for line in lines if (row := _row(line))]


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = parse_json(line) if line else None
    except Unreadable:
        return None
    if not isinstance(row, dict) or not isinstance(row.get("step"), int):
        return None
    return row if all(isinstance(value, (int, float)) for value in row.values()) else None
