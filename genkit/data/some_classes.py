"""Some of the classes of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from genkit.core.columns.labels import Labels
from genkit.core.errors import ConditionError, DataError
from genkit.data.dataset import DataSet


def some_classes(data: DataSet, classes: Sequence[int | str]) -> DataSet:
    """The rows of `data` whose class is one of `classes`, which are numbered anew: the first is 0.

    Args:
        data: the whole, with labels.
        classes: two at least, by their numbers or names.

    Raises:
        DataError: no labels, no such class, one twice, or one without rows.
    """
    column = data.conditions.labels
    if column is None or data.labels is None:
        raise DataError(f"some_classes: {data.name} has no labels{data.conditions.reason}")
    try:
        numbers = Labels(column.classes, column.names).check("classes", list(classes), len(classes)).tolist()
    except ConditionError as misfit:
        raise DataError(f"some_classes: {data.name}: {misfit}") from misfit
    if len(set(numbers)) < max(len(numbers), 2):
        raise DataError(f"some_classes.classes: two different ones at least are needed, got {list(classes)}")
    places = torch.full((column.classes,), -1).index_put((torch.tensor(numbers),), torch.arange(len(numbers)))
    anew = places[data.labels]
    names = tuple((column.names or range(column.classes))[number] for number in numbers)
    if missing := [name for k, name in enumerate(names) if not (anew == k).any()]:
        raise DataError(f"some_classes: {data.name} has no rows of class {missing[0]}")
    kept = (anew >= 0).nonzero().flatten()
    named = ", ".join(map(str, names))
    whole = replace(data, labels=anew.clamp(min=0), classes=tuple(map(str, names)))
    return whole.taken(f"{data.name}, classes {named}", kept)
