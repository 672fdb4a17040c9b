"""A run that was asked to stop: it writes a checkpoint between two iterations, or leaves a grid or scores half-way."""

from __future__ import annotations

import signal

from genkit.core.interruption import SIGNALS, Interrupted, RunEnded, StopFlag, stop_flag

__all__ = ["SIGNALS", "Interrupted", "StopFlag", "Stopped", "stop_flag"]


class Stopped(RunEnded):
    """A run was asked to stop; `exit_code` is 128 + the signal's number.

    Args:
        number: of the signal.
        step: iterations that are done.
        midway: whether the next one was too long to wait for, so that no checkpoint has been written.
    """

    def __init__(self, number: int, step: int, midway: bool = False):
        when = f"in iteration {step + 1}, which takes long" if midway else f"after iteration {step}"
        super().__init__(f"stopped by {signal.Signals(number).name} {when}")
        self.exit_code = 128 + number
