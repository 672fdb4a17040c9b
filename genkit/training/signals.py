"""A run that was asked to stop: it writes a checkpoint between two iterations, or leaves a grid or scores half-way."""

from __future__ import annotations

import signal

from genkit.core.interruption import SIGNALS, Interrupted, RunEnded, StopFlag, stop_flag

__all__ = ["SIGNALS", "Interrupted", "StopFlag", "Stopped", "stop_flag"]


class Stopped(RunEnded):
    """A run was asked to stop and has written a checkpoint; `exit_code` is 128 + the signal's number."""

    def __init__(self, number: int, step: int):
        super().__init__(f"stopped by {signal.Signals(number).name} after iteration {step}")
        self.exit_code = 128 + number
