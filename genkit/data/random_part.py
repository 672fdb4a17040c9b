"""A random piece of a data set, and the rest of it."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from genkit.core.errors import DataError
from genkit.data.dataset import DataSet

Quota = Annotated[float, Field(ge=0, le=1)]


def random_part(data: DataSet, low: Quota = 0.0, high: Quota = 1.0, seed: Annotated[int, Field(ge=0)] = 0) -> DataSet:
    """The rows of `data` between two shares of a random order, e.g. 0 to 0.9 to train and 0.9 to 1 to look at.

    They keep the order of `data`. Parts of one seed that do not overlap have no row in common.

    Args:
        data: the whole.
        low, high: shares.
        seed: of the order.

    Raises:
        DataError: no rows.
    """
    start, stop = round(low * len(data)), round(high * len(data))
    if start >= stop:
        raise DataError(
            f"{data.name} has {len(data)} rows, and a part from {low:g} to {high:g} of them has none; give more"
        )
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    about = f"{data.name}, a random part from {low:g} to {high:g}"
    return data.taken(about, order[start:stop].sort().values)
