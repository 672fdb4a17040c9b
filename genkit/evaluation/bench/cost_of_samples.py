"""Seconds that samples cost, beside the scores of a bench."""

from __future__ import annotations

import time

from genkit.core.computing import computing
from genkit.evaluation.sources import Source

TIMED, TURNS = 64, 3
"""Samples of a turn, and turns after a first one."""


def seconds_per_1000(source: Source, seed: int) -> float | None:
    """Of the quickest of a few turns after a first one; None for a source that is no generator.

    On a CPU its own seconds, all threads together, which other work on the machine hardly moves."""
    if source.kind != "weights":
        return None
    for _ in source.batches(2, seed, 2):
        pass
    turns, clock = [], time.process_time if computing().device.type == "cpu" else time.perf_counter
    for _ in range(TURNS):
        started = clock()
        for _ in source.batches(TIMED, seed, TIMED):
            pass
        turns.append(clock() - started)
    return 1000 * min(turns) / TIMED
