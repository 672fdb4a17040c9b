"""Progress on a terminal: a bar with speed and ETA, and a line of details below it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich import progress
from rich.console import RenderableType
from rich.text import Text

from genkit.core.display import Pace


class TwoLines(progress.Progress):
    """A detail has a line of its own, so that it never squeezes the bar, however narrow the terminal."""

    def __init__(self) -> None:
        columns = progress.BarColumn(24), progress.MofNCompleteColumn(), progress.TextColumn("{task.fields[pace]}")
        super().__init__("{task.description}", *columns)

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if task.fields["detail"] and not task.finished:
                yield Text(task.fields["detail"], style="dim", no_wrap=True, overflow="ellipsis")


class Bar:
    """A bar for every activity; see genkit.core.display.Display."""

    def __init__(self, lines: TwoLines):
        self.progress, self.tasks, self.paces = lines, dict[str, Any](), dict[str, Pace]()

    def advance(self, what: str, unit: str, done: int, total: int, detail: str = "") -> None:
        if what not in self.tasks or self.progress.tasks[self.tasks[what]].finished:
            self.paces[what] = Pace()
            self.tasks[what] = self.progress.add_task(what, total=total, pace="", detail="")
        self.paces[what].tick(done)
        pace = self.paces[what].text(total, unit)
        self.progress.update(self.tasks[what], completed=done, total=total, pace=pace, detail=detail)

    def note(self, line: str) -> None:
        self.progress.console.print(line, markup=False, highlight=False)
