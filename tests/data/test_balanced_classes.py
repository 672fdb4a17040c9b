from __future__ import annotations

import pytest
import torch

from genkit.core.catalog import build
from genkit.core.errors import DataError
from genkit.data.balanced_classes import balanced_classes
from genkit.data.dataset import DataSet


def test_every_class_is_as_frequent_and_no_row_is_lost() -> None:
    labels = torch.tensor([0, 2, 0, 2, 0, 2, 2, 0, 0])
    whole = DataSet("whole", torch.arange(9.0)[:, None], labels, ("a", "none", "b"), files=tuple("abcdefghi"))
    balanced = balanced_classes(whole)
    assert balanced.labels is not None and balanced.labels.bincount().tolist() == [5, 0, 5]
    assert balanced.x.flatten().tolist() == [0, 1, 1, 2, 3, 4, 5, 6, 7, 8]
    assert balanced.files == ("a", "b", "b", "c", "d", "e", "f", "g", "h", "i")
    assert balanced.name == "whole, classes balanced" and balanced.classes == whole.classes


def test_what_is_balanced_stays_as_it_is() -> None:
    whole = DataSet("whole", torch.arange(6.0)[:, None], torch.arange(6) % 2)
    assert balanced_classes(whole).fingerprint == whole.fingerprint


def test_by_name_over_attributes() -> None:
    spec = {"type": "shapes", "n": 50, "size": 8, "label": "size"}
    data = build({"type": "balanced_classes", "data": spec}, kind="data")
    assert data.labels.bincount().unique().numel() == 1 and all(len(v) == len(data) for v in data.attributes.values())


def test_labels_are_needed() -> None:
    with pytest.raises(DataError, match="balanced_classes: bare has no labels"):
        balanced_classes(DataSet("bare", torch.zeros(3, 1)))
