from __future__ import annotations

import pytest
import torch

from genkit.core.catalog import build
from genkit.core.errors import DataError
from genkit.data.dataset import DataSet
from genkit.data.part import part
from genkit.data.shapes import shapes

WHOLE = DataSet("whole", torch.arange(10.0)[:, None], torch.arange(10) % 3, ("a", "b", "c"))


def test_rows_labels_and_classes_are_those_of_the_whole() -> None:
    piece = part(WHOLE, 7, start=4)
    assert piece.x.flatten().tolist() == [4, 5, 6] and piece.labels is not None and piece.labels.tolist() == [1, 2, 0]
    assert piece.classes == WHOLE.classes and piece.name == "whole, rows 4 to 6"
    assert piece.fingerprint != WHOLE.fingerprint


def test_without_labels_by_name() -> None:
    spec = {"type": "part", "data": {"type": "swiss_roll", "n": 50}, "stop": 20}
    assert len(build(spec)) == 20


def test_attributes_too() -> None:
    whole = shapes(n=10, size=8)
    piece = part(whole, 7, start=4)
    assert piece.condition(torch.tensor([0, 2]))["hue"].equal(whole.attributes["hue"][[4, 6]])
    assert list(piece.conditions) == list(whole.conditions) and piece.sided == whole.sided


@pytest.mark.parametrize(("start", "stop"), [(0, 11), (5, 5), (6, 5)])
def test_rows_that_are_not_there(start: int, stop: int) -> None:
    with pytest.raises(DataError, match=f"rows 0 to 9, asked for {start} to below {stop}"):
        part(WHOLE, stop, start)
