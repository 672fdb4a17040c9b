"""Tables for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from genkit.core.files import write_atomically

FORMULA = tuple("=+-@\t\r\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """One line a row, in one piece; numbers to six digits. Text that a spreadsheet takes for a formula begins with `'`.

    Raises:
        CheckpointError: it cannot be written.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(map(_cell, row) for row in rows)
    write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))


def _cell(value: object) -> object:
    return plain_cell(value) if isinstance(value, str) else f"{value:.6g}" if isinstance(value, float) else value


def plain_cell(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula: with `'` before it where it begins like one."""
    return f"'{text}" if text.startswith(FORMULA) else text
