"""files.csv: what became of every file of the data of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genkit.evaluation.csv_file import write_csv

HEADER = ("file", "outcome", "why")
LEFT_OUT, CONVERTED, TAKEN = "left out", "converted", "taken"


def write_files_table(path: Path, data: Any) -> bool:
    """A row a file in the order of their names; returns whether the data are of files.

    Args:
        data: a genkit.data.dataset.DataSet.

    Raises:
        CheckpointError: it cannot be written.
    """
    if data.report is None or not data.files:
        return False
    write_csv(path, HEADER, sorted(_rows(data)))
    return True


def _rows(data: Any) -> Iterator[tuple[str, str, str]]:
    yield from ((name, LEFT_OUT, reason) for name, reason in data.report.rejected)
    yield from ((name, LEFT_OUT, "a kind of file that is not read") for name in data.report.unread)
    for name in data.files:
        notes = data.report.notes.get(name, [])
        yield name, CONVERTED if notes else TAKEN, ", ".join(notes)
