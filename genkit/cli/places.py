"""Where a command writes to, checked when its line is read: nobody waits for a result that has no place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from genkit.core.files import check_place


class Place(click.Path):
    """A file or folder that can be written; its missing parents will be made.

    Args:
        folder: a folder is written, not a file.
        suffixes: that a file's name may end with; empty allows all.
    """

    def __init__(self, *, folder: bool = False, suffixes: tuple[str, ...] = ()):
        super().__init__(path_type=Path)
        self.folder, self.suffixes = folder, suffixes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(str(super().convert(value, param, ctx)))
        if self.suffixes and path.suffix.lower() not in self.suffixes:
            self.fail(f"{path.name!r} should end with {' or '.join(self.suffixes)}", param, ctx)
        check_place(path, folder=self.folder)
        return path


FILE, FOLDER = Place(), Place(folder=True)
