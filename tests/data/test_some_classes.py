from __future__ import annotations

import pytest
import torch

from genkit.core.catalog import build
from genkit.core.errors import DataError
from genkit.data.dataset import DataSet
from genkit.data.some_classes import some_classes

WHOLE = DataSet("whole", torch.arange(10.0)[:, None], torch.arange(10) % 3, ("a", "b", "c"))


@pytest.mark.parametrize("classes", [[2, 0], ["c", "a"]])
def test_rows_of_these_classes_numbered_in_the_order_given(classes: list[int | str]) -> None:
    some = some_classes(WHOLE, classes)
    assert some.x.flatten().tolist() == [0, 2, 3, 5, 6, 8, 9] and some.labels is not None
    assert some.labels.tolist() == [1, 0, 1, 0, 1, 0, 1] and some.classes == ("c", "a")
    assert some.name == "whole, classes c, a" and some.conditions.classes == 2


def test_by_name_and_without_names() -> None:
    digits = build({"type": "some_classes", "data": {"type": "digits", "split": "test"}, "classes": [4, 9]})
    assert digits.classes == ("4", "9") and digits.labels.unique().tolist() == [0, 1]
    plain = some_classes(DataSet("plain", torch.zeros(3, 1), torch.arange(3)), [2, 1])
    assert plain.classes == ("2", "1") and plain.labels is not None and plain.labels.tolist() == [1, 0]


def test_attributes_and_files_go_along() -> None:
    from genkit.data.shapes import shapes

    whole = shapes(n=10, size=8, label="size")
    assert whole.labels is not None
    some = some_classes(whole, [1, 0])
    assert some.attributes["hue"].equal(whole.attributes["hue"])
    named = DataSet("named", torch.zeros(3, 1), torch.tensor([0, 1, 2]), files=("x", "y", "z"))
    assert some_classes(named, [2, 0]).files == ("x", "z")


@pytest.mark.parametrize(
    ("data", "classes", "reason"),
    [
        (WHOLE, ["d", "a"], "no class is called 'd'"),
        (WHOLE, [3, 0], "takes 0 to 2, got 3"),
        (WHOLE, [1], r"two different ones at least are needed, got \[1\]"),
        (WHOLE, [1, 1], "two different ones"),
        (DataSet("bare", torch.zeros(3, 1)), [0, 1], "bare has no labels"),
        (DataSet("gap", torch.zeros(2, 1), torch.tensor([0, 2])), [0, 1], "gap has no rows of class 1"),
    ],
)
def test_what_it_cannot_do(data: DataSet, classes: list[int | str], reason: str) -> None:
    with pytest.raises(DataError, match=reason) as refusal:
        some_classes(data, classes)
    assert "\n" not in str(refusal.value)
