"""A piece of a data set."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from genkit.core.errors import DataError
from genkit.data.dataset import DataSet


def part(data: DataSet, stop: Annotated[int, Field(ge=1)], start: Annotated[int, Field(ge=0)] = 0) -> DataSet:
    """Rows `start` to below `stop` of `data`, in its order, e.g. the first 2,000 images of a training set.

    Args:
        data: the whole.
        stop: the row after the last one.
        start: the first row.

    Raises:
        DataError: no such rows.
    """
    if not 0 <= start < stop <= len(data):
        raise DataError(f"part: {data.name} has rows 0 to {len(data) - 1}, asked for {start} to below {stop}")
    return data.taken(f"{data.name}, rows {start} to {stop - 1}", slice(start, stop))
