"""A data set in which every class is as frequent as the most frequent one."""

from __future__ import annotations

import torch

from genkit.core.errors import DataError
from genkit.data.dataset import DataSet


def balanced_classes(data: DataSet) -> DataSet:
    """`data` with the rows of rare classes repeated, so that an epoch has as many of every class.

    Each row of a class of n_k is there floor(n / n_k) times, n that of the most frequent class; the rest are its first
    rows once more. Rows are repeated, not made: what a class lacks it lacks still.

    Args:
        data: with labels; classes that have no rows stay without.

    Raises:
        DataError: no labels.
    """
    if data.conditions.labels is None or data.labels is None:
        raise DataError(f"balanced_classes: {data.name} has no labels{data.conditions.reason}")
    members = [rows for k in range(int(data.labels.max()) + 1) if len(rows := (data.labels == k).nonzero().flatten())]
    most = max(map(len, members))
    index = torch.cat([rows[torch.arange(most) % len(rows)] for rows in members]).sort().values
    return data.taken(f"{data.name}, classes balanced", index)
