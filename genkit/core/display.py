"""Progress on a terminal or in a notebook, the same from Python as on the command line; elsewhere nothing."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, Protocol

from genkit.core.progress import Progress

SPEED_OVER_S = 60.0
PATIENCE_S = 1.0
"""Work that ends sooner is not worth a bar."""


def is_first_process() -> bool:
    """False in all but one process of `accelerate launch`."""
    return os.environ.get("RANK", "0") == "0"


def clock(seconds: float) -> str:
    """1:02:03 or 2:03."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Pace:
    """Speed over the last minute, so that the ETA follows when the machine gets busy; what begins anew has its own."""

    def __init__(self) -> None:
        self.seen: deque[tuple[float, int]] = deque()

    def tick(self, done: int) -> None:
        now = time.monotonic()
        if self.seen and done < self.seen[-1][1]:
            self.seen.clear()
        self.seen.append((now, done))
        while len(self.seen) > 2 and now - self.seen[0][0] > SPEED_OVER_S:
            self.seen.popleft()

    @property
    def rate(self) -> float | None:
        """Items a second; None before there are two ticks."""
        if len(self.seen) < 2:
            return None
        (t0, n0), (t1, n1) = self.seen[0], self.seen[-1]
        return (n1 - n0) / (t1 - t0) if t1 > t0 and n1 > n0 else None

    def text(self, total: int, unit: str) -> str:
        """'12.3 it/s  ETA 1:40'; nothing of a whole without parts."""
        if self.rate is None or total == 1:
            return ""
        left = (total - self.seen[-1][1]) / self.rate
        speed = f"{self.rate:.1f} {unit}/s" if self.rate >= 1 else f"{1 / self.rate:.1f} s/{unit}"
        return f"{speed}  ETA {clock(left)}"


class Display(Protocol):
    """A display of progress: `what` is done to `done` of `total` things called `unit`."""

    def advance(self, what: str, unit: str, done: int, total: int, detail: str = "") -> None: ...
    def note(self, line: str) -> None: ...


class Silent:
    """A display of nothing: of all but the first process of a launch, and where nobody looks."""

    def advance(self, what: str, unit: str, done: int, total: int, detail: str = "") -> None: ...
    def note(self, line: str) -> None: ...


_shown: list[Display] = []
"""The display that is there now: one at most."""


def looked_at() -> bool:
    """Whether progress would be seen: this is the first process, with a terminal or in a notebook."""
    from genkit.core.notebook_line import in_notebook

    return is_first_process() and (sys.stdout.isatty() or in_notebook())


@contextmanager
def bar() -> Iterator[Display]:
    """A bar on a terminal, or a line in a notebook, if none is there yet; elsewhere a `Silent` display."""
    if _shown or not looked_at():
        yield Silent()
        return
    with ExitStack() as held:
        if sys.stdout.isatty():
            from genkit.core.bar import Bar, TwoLines

            made: Display = Bar(held.enter_context(TwoLines()))
        else:
            from genkit.core.notebook_line import NotebookLine

            made = NotebookLine()
        yield held.enter_context(there(made))


@contextmanager
def there(display: Display) -> Iterator[Display]:
    """`display` is the one that is there now."""
    _shown.append(display)
    try:
        yield display
    finally:
        _shown.remove(display)


@contextmanager
def reporting(progress: Progress | bool, what: str, unit: str) -> Iterator[Progress]:
    """A callback for work that may be long: `progress` itself, or one that shows a bar once a second has gone by.

    Args:
        progress: a callback (done, in total), or whether there is a bar.
        what, unit: see `Display`.
    """
    if callable(progress):
        yield progress
        return
    with _patient(bar if progress else _nowhere, what, unit) as tell:
        yield tell


@contextmanager
def reporting_rows(what: str, maker: Any, n: int, batch_size: int) -> Iterator[Progress]:
    """A callback (done, in total) for n rows of `maker`, a part of other work, with the steps of a diffusion.

    The display that is there shows it, else a bar of its own, once a second has gone by.
    """
    with (
        _patient(lambda: nullcontext(_shown[-1]) if _shown else bar(), what, "sample") as tell,
        rows_watched(tell, maker, n, batch_size) as rows,
    ):
        yield rows


def _nowhere() -> AbstractContextManager[Display]:
    return nullcontext(Silent())


@contextmanager
def _patient(open_one: Callable[[], AbstractContextManager[Display]], what: str, unit: str) -> Iterator[Progress]:
    """A callback that shows on a display, which is opened once a second has gone by."""
    begun, shown = time.monotonic(), list[Display]()
    with ExitStack() as held:

        def tell(done: int, total: int) -> None:
            if not shown and time.monotonic() - begun > PATIENCE_S:
                shown.append(held.enter_context(open_one()))
            for display in shown:
                display.advance(what, unit, done, total)

        yield tell


@contextmanager
def watched(maker: Any, progress: bool) -> Iterator[None]:
    """The steps of `maker`, if it tells them to a callback `watch`, are shown by a bar."""
    if _shown or not (progress and hasattr(maker, "watch") and looked_at()):
        yield
        return
    with reporting(True, "sampling", "step") as tell, _reporting_steps(maker, tell):
        yield


@contextmanager
def rows_watched(progress: Progress, maker: Any, n: int, batch_size: int) -> Iterator[Progress]:
    """A callback (rows done, in total) that counts the steps of a diffusion as well, as parts of its batch.

    Args:
        progress: called with (rows done, rows in total).
        maker: makes the rows.
        n: rows in total, as far as known.
        batch_size: rows of a batch.
    """
    at = [0, n]

    def rows(done: int, total: int) -> None:
        at[:] = done, total
        progress(done, total)

    def steps(i: int, steps: int) -> None:
        done, total = at
        if i < steps:
            progress(done + min(batch_size, total - done) * i // steps, total)

    with _reporting_steps(maker, steps):
        yield rows


@contextmanager
def _reporting_steps(maker: Any, tell: Progress) -> Iterator[None]:
    """`maker` tells its steps to `tell`, if it tells them to anybody, and afterwards to whom it told them before."""
    before = getattr(maker, "watch", None)
    if before is None:
        yield
        return
    maker.watch = tell
    try:
        yield
    finally:
        maker.watch = before
