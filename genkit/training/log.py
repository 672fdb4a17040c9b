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


class Window:
    """Running means of scalars since the last line of the log; kept on the device until read."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, scalars: Mapping[str, Tensor]) -> None:
        for name, value in scalars.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.double()
            self.counts[name] = self.counts.get(name, 0) + 1

    def close(self, accelerator: Accelerator) -> dict[str, float]:
        """The means over the interval and over processes; starts the next interval."""
        names = sorted(self.sums)
        if not names:
            return {}
        means = torch.stack([self.sums[n] / self.counts[n] for n in names])
        means = accelerator.reduce(means, "mean") if accelerator.num_processes > 1 else means
        self.sums, self.counts = {}, {}
        return dict(zip(names, means.tolist(), strict=True))

    def state(self) -> dict[str, Any]:
        return {name: [value.item(), self.counts[name]] for name, value in self.sums.items()}

    def restore(self, state: Mapping[str, Any], device: torch.device) -> None:
        self.sums = {k: torch.tensor(v[0], dtype=torch.float64, device=device) for k, v in state.items()}
        self.counts = {k: v[1] for k, v in state.items()}


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
