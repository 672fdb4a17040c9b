"""Progress in a notebook: one line of a cell's output, written anew."""

from __future__ import annotations

import sys
import time

from genkit.core.display import Pace

EVERY_S = 0.5


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


class NotebookLine:
    """A line for every activity; see genkit.core.display.Display."""

    def __init__(self) -> None:
        self.lines, self.paces, self.written = dict[str, str](), dict[str, Pace](), 0.0
        from IPython.display import display

        self.display = display
        self.handle = display({"text/plain": ""}, raw=True, display_id=True)

    def advance(self, what: str, unit: str, done: int, total: int, detail: str = "") -> None:
        pace = self.paces.setdefault(what, Pace())
        pace.tick(done)
        self.lines[what] = "  ".join(filter(None, [f"{what} {done}/{total}", pace.text(total, unit), detail]))
        if done == total or time.monotonic() - self.written >= EVERY_S:
            self.written = time.monotonic()
            self.handle.update({"text/plain": "\n".join(self.lines.values())}, raw=True)

    def note(self, line: str) -> None:
        self.display({"text/plain": line}, raw=True)
