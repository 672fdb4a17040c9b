"""Cost of noise and data for one process of several: milliseconds for its rows, by number of processes.

    python -m benchmarks.process_cost [--rows 16] [--items 60000]

The last of N simulated processes takes its rows of the batches and draws of N * rows. The fastest tenth of 200
iterations, taken in turns so that other load of the machine meets all alike; ratios to one process. `batch` is a mean
over all iterations instead, since a new order is laid out once an epoch.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from itertools import pairwise

import torch

from genkit.data.dataset import DataSet
from genkit.training.stream import Stream

PROCESSES = (1, 8, 64, 1024)
ROUNDS = 200
KINDS = ("noise 3x64x64", "noise of 128", "batch", "all")


def once(stream: Stream, step: int) -> list[float]:
    """Milliseconds of the parts of one iteration."""
    stream.begin(step)
    marks = [time.perf_counter()]
    for part in (lambda: stream.normal(3, 64, 64), lambda: stream.normal(128), lambda: next(stream)):
        part()
        marks.append(time.perf_counter())
    return [1000 * (b - a) for a, b in pairwise(marks)] + [1000 * (marks[-1] - marks[0])]


def figure(kind: str, times: Sequence[float]) -> float:
    return statistics.mean(times) if kind == "batch" else sorted(times)[len(times) // 10]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--items", type=int, default=60_000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = DataSet("noise", torch.randint(256, (given.items, 3, 8, 8), dtype=torch.uint8))
    streams = {n: Stream(data, n * given.rows, seed=0, rank=n - 1, world_size=n) for n in PROCESSES}
    times: dict[int, list[list[float]]] = {n: [] for n in PROCESSES}
    for step in range(ROUNDS):
        for n, stream in streams.items():
            times[n].append(once(stream, step))
    found = {
        n: [figure(kind, column) for kind, column in zip(KINDS, zip(*rows, strict=True), strict=True)]
        for n, rows in times.items()
    }
    print("| processes | " + " | ".join(f"{kind}, ms (x)" for kind in KINDS) + " |\n" + "|---" * 5 + "|")
    for n, row in found.items():
        cells = [f"{ms:.3f} ({ms / one:.2f})" for ms, one in zip(row, found[1], strict=True)]
        print(f"| {n:,} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
