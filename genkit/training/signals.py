"""Being asked to stop: the flag is polled between iterations and between batches of sampling and scoring."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Stopped(Exception):
    """A run was asked to stop and has written a checkpoint; `exit_code` is 128 + the signal's number."""

    def __init__(self, number: int, step: int):
        super().__init__(f"stopped by {signal.Signals(number).name} after iteration {step}; go on with --resume")
        self.exit_code = 128 + number


class Interrupted(Exception):
    """Sampling or scoring was left because the stop flag is up."""


class StopFlag:
    """The number of the first signal received, or 0."""

    def __init__(self) -> None:
        self.number = 0

    def __bool__(self) -> bool:
        return self.number != 0

    def catch(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number


@contextmanager
def stop_flag() -> Iterator[StopFlag]:
    """A flag that SIGTERM, SIGINT and SIGUSR1 raise; outside the main thread nothing is caught."""
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = {number: signal.signal(number, flag.catch) for number in SIGNALS}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
