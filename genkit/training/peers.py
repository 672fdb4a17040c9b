"""The other processes of a run, and the error when one of them is gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from genkit.core.interruption import LOST, RunEnded


class ProcessLost(RunEnded):
    """Another process of the run has ended before its time, so that this one cannot go on."""

    exit_code = LOST

    def __init__(self, who: str):
        super().__init__(f"{who} was lost")

    def __str__(self) -> str:
        return f"{self.reason}; the run is whole up to its last checkpoint: {self.advice}"


@contextmanager
def among_peers(rank: int, count: int) -> Iterator[None]:
    """Distinguishes failures of communication, which mean that a process is gone, from all others.

    Raises:
        ProcessLost: in place of what gloo, NCCL or the store say.
    """
    try:
        yield
    except RuntimeError as error:
        if count == 1 or not of_communication(error):
            raise
        who = f"process {1 - rank} of 2" if count == 2 else f"another of the {count} processes"
        raise ProcessLost(who) from error


def of_communication(error: RuntimeError) -> bool:
    """gloo raises bare RuntimeErrors that name its source files; all else has a class of its own."""
    import torch.distributed as dist

    return isinstance(error, dist.DistError) or "gloo/" in str(error) or "Connection closed by peer" in str(error)
