from __future__ import annotations

import pytest
import torch

from genkit.condition import ConditionSpace, Labels
from genkit.errors import ConditionError
from genkit.randomness import Rows


@pytest.mark.parametrize("given", [2, [2], torch.tensor(2), torch.tensor([2]), torch.tensor([[2]], dtype=torch.uint8)])
def test_one_label_stands_for_all(given: object) -> None:
    label = Labels(3).check("label", given, 4)
    assert label.tolist() == [2, 2, 2, 2] and label.dtype == torch.int64
    label[0] = 0
    assert label.tolist() == [0, 2, 2, 2], "the rows are separate"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([0, 1], "4 samples, 2 labels"),
        (torch.zeros(0, dtype=torch.int64), "4 samples, 0 labels"),
        ([0, 1, 2, 3], "takes 0 to 2, got 3"),
        (-1, "takes 0 to 2, got -1"),
        (1.0, "whole numbers, got torch.float32"),
        ("three", "whole numbers, got 'three'"),
        (None, "whole numbers, got None"),
        ([[0, 1], [2]], "whole numbers"),
    ],
)
def test_wrong_labels_are_refused(given: object, message: str) -> None:
    with pytest.raises(ConditionError, match=f"'label'.*{message}".replace(".", r"\.").replace(r"\.*", ".*")):
        Labels(3).check("label", given, 4)


def test_wrong_spaces_are_refused() -> None:
    with pytest.raises(ConditionError, match="at least 2 classes, got 1"):
        Labels(1)
    with pytest.raises(ConditionError, match="3 classes need 3 names, got 2"):
        Labels(3, ["a", "b"])


def test_what_is_not_given_is_drawn_from_the_rows() -> None:
    space = ConditionSpace({"label": Labels(5), "style": Labels(3)})
    rng = torch.Generator().manual_seed(0)
    drawn = space.resolve({"style": 1}, 200, Rows(200, rng))
    assert drawn["style"].eq(1).all() and set(drawn["label"].tolist()) == set(range(5))
    again = space.resolve({"style": 1}, 200, Rows(200, torch.Generator().manual_seed(0)))
    assert again["label"].equal(drawn["label"])
    assert space.check({"style": 1}, 2).keys() == {"style"}


def test_unknown_names_are_refused() -> None:
    space = ConditionSpace({"label": Labels(5)})
    with pytest.raises(ConditionError, match="'labels'; did you mean 'label'"):
        space.resolve({"labels": 1}, 2, Rows(2))
    with pytest.raises(ConditionError, match="'age'; accepted: none"):
        ConditionSpace().resolve({"age": 1}, 2, Rows(2))
    assert list(space) == ["label"] and len(ConditionSpace()) == 0
