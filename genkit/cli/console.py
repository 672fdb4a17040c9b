"""Output for people: aligned tables, and progress as a bar on a terminal or as plain lines elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from itertools import zip_longest
from typing import Any, Protocol

import click

from genkit.core.progress import Progress

PLAIN_EVERY_S = 5.0
MAIN_LOSSES = ("loss", "real", "fake")
SPEED_OVER_S = 60.0
WIDEST = 100_000
"""Width of a table where the output is no terminal: nothing is cut there."""


def is_first_process() -> bool:
    """False in all but one process of `accelerate launch`."""
    return os.environ.get("RANK", "0") == "0"


def heading(text: str) -> str:
    """`text` in bold; click strips the codes when the output is no terminal."""
    return click.style(text, bold=True)


def table(rows: Sequence[Sequence[object]], header: Sequence[str] = (), indent: str = "") -> str:
    """Left-aligned columns; on a terminal the last one is cut to fit."""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    lines = [[str(cell) for cell in row] for row in ([header, *rows] if header else rows)]
    if not lines:
        return f"{indent}(none)"
    grid = Table.grid(padding=(0, 2, 0, 0))
    for cells in zip_longest(*lines, fillvalue=""):
        grid.add_column(no_wrap=True, overflow="crop", min_width=max(map(cell_len, cells)))
    grid.columns[-1].min_width = None
    for line in lines:
        grid.add_row(*map(Text, line))
    room = shutil.get_terminal_size().columns - len(indent) if sys.stdout.isatty() else WIDEST
    console = Console(file=StringIO(), width=room, color_system=None)
    console.print(grid, soft_wrap=False)
    text = [f"{indent}{line}".rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    return "\n".join([heading(text[0]), *text[1:]] if header else text)


def warn(lines: Iterable[str]) -> None:
    """A line each, yellow on a terminal."""
    for line in lines:
        click.echo(click.style(f"warning: {line}", fg="yellow"))


def clock(seconds: float) -> str:
    """1:02:03 or 2:03."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Pace:
    """Speed over the last minute, so that the ETA follows when the machine gets busy."""

    def __init__(self) -> None:
        self.seen: deque[tuple[float, int]] = deque()

    def tick(self, done: int) -> None:
        now = time.monotonic()
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
        """'12.3 it/s  ETA 1:40'."""
        if self.rate is None:
            return ""
        left = (total - self.seen[-1][1]) / self.rate
        speed = f"{self.rate:.1f} {unit}/s" if self.rate >= 1 else f"{1 / self.rate:.1f} s/{unit}"
        return f"{speed}  ETA {clock(left)}"


def losses(scalars: Mapping[str, float]) -> str:
    """The terms that say how the game stands, by learner: 'critic real -3.2 fake 1.1, generator loss -0.03'."""
    shown: dict[str, list[str]] = {}
    for name, value in scalars.items():
        learner, _, term = name.rpartition("/")
        if term in MAIN_LOSSES:
            shown.setdefault(learner, []).append(f"{term} {value:.3g}")
    if not shown:
        return ", ".join(f"{name} {value:.3g}" for name, value in list(scalars.items())[:3])
    return ", ".join(f"{learner} {' '.join(terms)}" for learner, terms in shown.items())


class Display(Protocol):
    """A display of progress: `what` is done to `done` of `total` things called `unit`."""

    def advance(self, what: str, unit: str, done: int, total: int, detail: str = "") -> None: ...
    def note(self, line: str) -> None: ...


class Lines:
    """Plain lines, at most one every few seconds."""

    def __init__(self, every: float = PLAIN_EVERY_S):
        self.every, self.printed, self.scalars = every, time.monotonic(), dict[str, float]()
        self.paces: dict[str, Pace] = {}

    def advance(self, what: str, unit: str, done: int, total: int, detail: str = "") -> None:
        pace = self.paces.setdefault(what, Pace())
        pace.tick(done)
        if time.monotonic() - self.printed < self.every and done < total:
            return
        self.printed = time.monotonic()
        parts = [f"{what} {done}/{total}", f"{100 * done // max(total, 1)}%", pace.text(total, unit), detail]
        click.echo("  ".join(part for part in parts if part))

    def note(self, line: str) -> None:
        click.echo(line)


class Silent:
    """Of all but the first process of a launch."""

    def advance(self, what: str, unit: str, done: int, total: int, detail: str = "") -> None: ...
    def note(self, line: str) -> None: ...


@contextmanager
def display() -> Iterator[Display]:
    """A bar when stdout is a terminal, else lines; nothing but in the first process."""
    if not is_first_process():
        yield Silent()
        return
    if not sys.stdout.isatty():
        yield Lines()
        return
    from genkit.cli.bar import Bar, TwoLines

    with TwoLines() as progress:
        yield Bar(progress)


class TrainingWatcher:
    """Shows a run as it goes; see genkit.training.watcher.Watcher."""

    def __init__(self, display: Display):
        self.display, self.detail = display, ""

    def iteration(self, step: int, steps: int, scalars: dict[str, float] | None) -> None:
        self.detail = losses(scalars) if scalars else self.detail
        self.display.advance("training", "it", step, steps, self.detail)

    def note(self, line: str) -> None:
        self.display.note(line)

    def scoring(self, done: int, total: int) -> None:
        self.display.advance("scoring", "sample", done, total)


class Watched:
    """Progress over rows that also counts the steps of a diffusion, as parts of its batch.

    Args:
        progress: called with (rows done, rows in total).
        generator: makes the rows.
        n: rows in total, as far as known.
        batch_size: rows of a batch.
    """

    def __init__(self, progress: Progress, generator: Any, n: int, batch_size: int):
        self.progress, self.done, self.n, self.batch_size = progress, 0, n, batch_size
        if hasattr(generator, "watch"):
            generator.watch = self.steps

    def __call__(self, done: int, total: int) -> None:
        self.done, self.n = done, total
        self.progress(done, total)

    def steps(self, i: int, steps: int) -> None:
        if i < steps:
            self.progress(self.done + min(self.batch_size, self.n - self.done) * i // steps, self.n)


def progress(display: Display, what: str, unit: str) -> Progress:
    """A callback (done, total) for the argument `progress` of library functions; it updates the display."""
    return lambda done, total: display.advance(what, unit, done, total)
