"""An epoch in which every class is as frequent as the most frequent one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genkit.core.errors import RecipeError


def balanced_rows(data: Any) -> Tensor:
    """Rows of `data`, those of rare classes repeated so that each class has as many, in the order of the data.

    Each row of a class of n_k is there floor(n / n_k) times, n that of the most frequent class; the rest are its first
    rows once more. What a class lacks it lacks still.

    Args:
        data: with labels; classes that have no rows stay without.

    Raises:
        RecipeError: no labels.
    """
    if data.conditions.labels is None:
        raise RecipeError(f"train.balanced: {data.name} has no classes{data.conditions.reason}")
    labels = data.condition(torch.arange(len(data)))["label"]
    members = [(labels == k).nonzero().flatten() for k in labels.unique()]
    most = max(map(len, members))
    return torch.cat([rows[torch.arange(most) % len(rows)] for rows in members]).sort().values
