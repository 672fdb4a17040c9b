"""Being asked to stop by SIGTERM, SIGINT or SIGUSR1: noted, or answered at once where work may be left at any point.

Python hears a signal between two of its own instructions, so sampling, decoding and extracting features are left within
one call of a library. A long call, as of linear algebra, runs in a thread beside the one
that listens (`beside`).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
POLL_S = 0.2

LOST = 3
"""Exit code of a run that lost one of its processes."""


class Interrupted(BaseException):
    """Work was left because of a signal; `exit_code` is 128 + the signal's number.

    Like KeyboardInterrupt no Exception, so that no handler of a library's errors catches it.

    Attributes:
        advice: on how to go on, from those who know.
    """

    advice = ""

    def __init__(self, number: int):
        super().__init__(number)
        self.exit_code = 128 + number

    def __str__(self) -> str:
        stopped = f"stopped by {signal.Signals(self.args[0]).name}"
        return f"{stopped}; {self.advice}" if self.advice else stopped


@contextmanager
def advising(how: str) -> Iterator[None]:
    """A block whose work goes on in this way, should a signal end it."""
    try:
        yield
    except Interrupted as left:
        left.advice = how
        raise


class RunEnded(Exception):
    """A training that ended early and can go on.

    Attributes:
        exit_code: of the command line.
        reason: of the end.
        advice: on how to go on: by `genkit train`, unless another command puts its own here.
    """

    exit_code: int
    advice = "go on with --resume"

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.reason}; {self.advice}"


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


class StopFlag:
    """The number of the first signal received, or 0."""

    def __init__(self) -> None:
        self.number, self._leaving, self._patience = 0, False, 0.0

    def __bool__(self) -> bool:
        return self.number != 0

    def catch(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        if self._patience and not self._leaving:
            signal.setitimer(signal.ITIMER_REAL, self._patience)
        if self._leaving:
            self._leaving = False
            raise Interrupted(self.number)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """A block that ends with Interrupted when it goes on for `seconds` after a signal."""
        self._patience = seconds if signal.getsignal(signal.SIGALRM) == self.lose_patience else 0.0
        try:
            yield
        finally:
            if self._patience:
                self._patience = 0.0
                signal.setitimer(signal.ITIMER_REAL, 0)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A part of a block that must come to its end: a signal waits for it, and is then answered."""
        leaving, self._leaving = self._leaving, False
        try:
            yield
        finally:
            self._leaving = leaving and not self
        if leaving and self:
            raise Interrupted(self.number)

    def lose_patience(self, number: int, frame: FrameType | None) -> None:
        if self._patience:
            raise Interrupted(self.number)

    def __enter__(self) -> None:
        """A block that a signal ends with Interrupted, wherever it is, or at once if it came before. Not nested."""
        self._leaving = True
        if self:
            self._leaving = False
            raise Interrupted(self.number)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._leaving = False
        if self and kind is None:  # it was raised where Python drops errors, such as a destructor
            raise Interrupted(self.number)


class Alarm(StopFlag):
    """A flag that is always answered at once."""

    def __init__(self) -> None:
        self.number, self._leaving, self._patience = 0, True, 0.0


@contextmanager
def stop_flag() -> Iterator[StopFlag]:
    """A flag that the signals raise; outside the main thread nothing is caught."""
    with _raised_by_signals(StopFlag()) as flag:
        yield flag


@contextmanager
def interruptible() -> Iterator[None]:
    """A block that the signals end with Interrupted, but for blocks in it that have a `stop_flag` of their own."""
    with _raised_by_signals(Alarm()) as flag:
        yield
        if flag:
            raise Interrupted(flag.number)


@contextmanager
def _raised_by_signals(flag: StopFlag) -> Iterator[StopFlag]:
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = {number: signal.signal(number, flag.catch) for number in SIGNALS}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, flag.lose_patience)
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def beside(work: Callable[[], T]) -> T:
    """Runs `work` in a thread beside the main one, which hears signals meanwhile; returns or raises as it does.

    When one comes the thread is left to itself. Where nobody listens to signals there is no thread.
    """
    listener = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if not isinstance(listener, StopFlag) or threading.current_thread() is not threading.main_thread():
        return work()
    import torch

    threads, done = torch.get_num_threads(), Future[T]()

    def run() -> None:
        torch.set_num_threads(threads)
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    while not wait([done], POLL_S).done:  # a signal that comes on the way into the wait does not end it
        pass
    return done.result()
