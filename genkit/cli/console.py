"""Output for people: aligned tables, and progress as a bar on a terminal or as plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from itertools import zip_longest

import click

from genkit.core.display import Display, Pace, bar, is_first_process, there
from genkit.core.progress import Progress

PLAIN_EVERY_S = 5.0
WIDEST = 100_000
"""Width of a table where the output is no terminal: nothing is cut there."""


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


def say(line: str) -> None:
    """A line of what all processes of a launch found alike: the first one prints it."""
    if is_first_process():
        click.echo(line)


def warn(lines: Iterable[str]) -> None:
    """A line each, yellow on a terminal, as `say`."""
    for line in lines:
        say(click.style(f"warning: {line}", fg="yellow"))


class Lines:
    """Plain lines, at most one every few seconds, and one at the end of what has more than one part or took as long."""

    def __init__(self, every: float = PLAIN_EVERY_S):
        self.every, self.printed, self.scalars = every, time.monotonic(), dict[str, float]()
        self.paces: dict[str, Pace] = {}

    def advance(self, what: str, unit: str, done: int, total: int, detail: str = "") -> None:
        pace = self.paces.setdefault(what, Pace())
        pace.tick(done)
        now, soon = time.monotonic(), pace.seen[-1][0] - pace.seen[0][0] < self.every
        if now - self.printed < self.every and (done < total or (total == 1 and soon)):
            return
        self.printed = now
        if total == 1:
            parts = [f"{what}: done" if done else f"{what} ...", detail]
        else:
            parts = [f"{what} {done}/{total}", f"{100 * done // max(total, 1)}%", pace.text(total, unit), detail]
        click.echo("  ".join(part for part in parts if part))

    def note(self, line: str) -> None:
        click.echo(line)


@contextmanager
def display() -> Iterator[Display]:
    """A bar when stdout is a terminal, else lines; nothing but in the first process."""
    if is_first_process() and not sys.stdout.isatty():
        with there(Lines()) as lines:
            yield lines
        return
    with bar() as shown:
        yield shown


def progress(display: Display, what: str, unit: str) -> Progress:
    """A callback (done, total) for the argument `progress` of library functions; it updates the display."""
    return lambda done, total: display.advance(what, unit, done, total)
