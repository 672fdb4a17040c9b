"""Work done ahead by a few threads: results come in order, and no more bytes are in flight than a budget allows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from threading import Condition, Thread
from typing import Generic, TypeVar

T = TypeVar("T")
Claim = Callable[[int], None]
"""Claims memory for a piece of work, in bytes; returns when there is room for it."""

WORKERS = max(1, min(4, os.cpu_count() or 1))
LEAVE_S = 2.0
"""Seconds to wait for threads when a caller stops early, because of a signal say."""

REACH = 32 * WORKERS
"""Most items that are begun or wait."""

AT_ONCE = 2**20
"""Bytes of results that are handed over at a time: a lock for each would take as long as making a small image."""


def in_order(
    work: Callable[[int, Claim], T], count: int, budget: int, size_of: Callable[[T], int], workers: int = WORKERS
) -> Generator[T, None, None]:
    """work(0), work(1), ... work(count - 1), in order.

    Never more than `budget` bytes are in flight, or one item where that alone takes more.

    Args:
        work: (index, claim) -> result; it claims memory before it takes it, and again when it needs more.
        count: number of calls.
        budget: bytes.
        size_of: bytes of a result, held until its turn comes; other memory that was claimed is free by then.
        workers: threads, which are gone when the iterator is exhausted or closed; one that is
            still at work is waited for at most `LEAVE_S`, and ends with its item.

    Raises:
        Exception: any that `work` raises, in its turn.
    """
    line = _Line(work, count, budget, size_of, REACH)
    threads = [Thread(target=line.serve, daemon=True) for _ in range(min(workers, count))]
    try:
        for thread in threads:
            thread.start()
        while line.wanted < count:
            for result in line.ready():
                if isinstance(result, _Failure):
                    raise result.cause
                yield result
    finally:
        line.close()
        deadline = time.monotonic() + LEAVE_S
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))


@dataclass(frozen=True)
class _Failure:
    cause: BaseException


class _Closed(Exception):
    """Nobody waits for results any more."""


class _Line(Generic[T]):
    """The state shared by the threads; every attribute is guarded by `moved`.

    The item whose turn it is may always go on, however much the others hold, so that one always ends.
    """

    def __init__(
        self,
        work: Callable[[int, Claim], T],
        count: int,
        budget: int,
        size_of: Callable[[T], int],
        reach: int,
    ):
        self.work, self.count, self.budget, self.size_of, self.reach = work, count, budget, size_of, reach
        self.moved, self.closed = Condition(), False
        self.begun, self.wanted, self.total = 0, 0, 0
        self.held: dict[int, int] = {}
        self.results: dict[int, T | _Failure] = {}

    def serve(self) -> None:
        try:
            while (index := self._next()) is not None:
                self._keep(index, self._outcome(index))
        except _Closed:
            return

    def _outcome(self, index: int) -> T | _Failure:
        try:
            return self.work(index, partial(self._claim, index))
        except _Closed:
            raise
        except BaseException as cause:  # raised again in its turn
            return _Failure(cause)

    def _next(self) -> int | None:
        with self.moved:
            while not self.closed and self.begun < self.count and self.begun >= self.wanted + self.reach:
                self.moved.wait()
            if self.closed or self.begun >= self.count:
                return None
            self.begun += 1
            return self.begun - 1

    def _claim(self, index: int, size: int) -> None:
        with self.moved:
            while not self.closed and index != self.wanted and self.total + size > self.budget:
                self.moved.wait()
            if self.closed:
                raise _Closed
            self.held[index] = self.held.get(index, 0) + size
            self.total += size

    def _keep(self, index: int, result: T | _Failure) -> None:
        size = 0 if isinstance(result, _Failure) else self.size_of(result)
        with self.moved:
            self.total += size - self.held.get(index, 0)
            self.held[index], self.results[index] = size, result
            self.moved.notify_all()

    def ready(self) -> list[T | _Failure]:
        """The next results, at least one."""
        with self.moved:
            while self.wanted not in self.results:
                self.moved.wait()
            taken, size = list[T | _Failure](), 0
            while self.wanted in self.results and (not taken or size < AT_ONCE):
                size += self.held[self.wanted]
                self.total -= self.held.pop(self.wanted)
                taken.append(self.results.pop(self.wanted))
                self.wanted += 1
            self.moved.notify_all()
            return taken

    def close(self) -> None:
        with self.moved:
            self.closed = True
            self.results.clear()
            self.moved.notify_all()
