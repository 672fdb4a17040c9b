"""Rows of the next batches, read by a thread while the present one is computed on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

import torch

T = TypeVar("T")
Work = Callable[[], T]
NAME = "read ahead"


class ReadAhead(Generic[T]):
    """Work by position in an endless sequence, begun before it is asked for; results are those of doing it then.

    Args:
        work: makes the work of a position, in the caller's thread; the work itself is done in another.
        stride: from one position to the next.
        count: of the positions that are begun ahead.
    """

    def __init__(self, work: Callable[[int], Work[T]], stride: int, count: int):
        self._work, self._stride, self._count = work, stride, count
        self._begun: dict[int, Future[T]] = {}
        self._orders: SimpleQueue[tuple[Future[T], Work[T]] | None] = SimpleQueue()
        self._thread: Thread | None = None

    def at(self, position: int) -> T:
        """The result of the work at `position`; that of others than the next few is dropped. Raises what it raised."""
        wanted = range(position, position + (self._count + 1) * self._stride, self._stride)
        for gone in self._begun.keys() - set(wanted):
            self._begun.pop(gone).cancel()
        for place in wanted:
            if place not in self._begun:
                self._begun[place] = self._ordered(self._work(place))
        return self._begun.pop(position).result()

    def _ordered(self, work: Work[T]) -> Future[T]:
        if self._thread is None:
            threads = torch.get_num_threads()
            self._thread = Thread(target=_serve, args=(self._orders, threads), name=NAME, daemon=True)
            self._thread.start()
        future = Future[T]()
        self._orders.put((future, work))
        return future

    def close(self) -> None:
        """Ends the thread after the work that it is at, which is not waited for."""
        for future in self._begun.values():
            future.cancel()
        self._begun = {}
        if self._thread is not None:
            self._orders.put(None)
            self._thread = None


def _serve(orders: SimpleQueue[tuple[Future[T], Work[T]] | None], threads: int) -> None:
    torch.set_num_threads(threads)
    while (order := orders.get()) is not None:
        future, work = order
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work())
            except BaseException as error:  # raised again in its turn
                future.set_exception(error)
