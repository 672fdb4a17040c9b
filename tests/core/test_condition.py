from __future__ import annotations

import pytest
import torch

from genkit.core.condition import ConditionSpace, Labels, numbered
from genkit.core.errors import ConditionError
from genkit.core.randomness import Rows


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


def test_names_stand_for_numbers() -> None:
    labels = Labels(3, ["cat", "2", "dog"])
    assert labels.check("label", "dog", 2).tolist() == [2, 2]
    assert labels.check("label", ["cat", 1, "dog"], 3).tolist() == [0, 1, 2]
    assert labels.check("label", "2", 1).tolist() == [1], "a name wins over the number that it looks like"
    assert labels.check("label", "0", 1).tolist() == [0]
    assert Labels(3).check("label", "2", 1).tolist() == [2]
    with pytest.raises(ConditionError, match="'label': no class is called 'dogs'; did you mean 'dog'"):
        labels.check("label", "dogs", 1)
    for outside in ("-1", "3"):
        with pytest.raises(ConditionError, match="takes 0 to 2"):
            labels.check("label", outside, 1)
    with pytest.raises(ConditionError, match="no class is called '9999"):
        labels.check("label", "9" * 5000, 1)


def test_names_that_are_other_numbers_leave_no_doubt() -> None:
    """A folder's name is what people see; an int in Python is a position."""
    labels = Labels(3, ["1", "2", "03"])
    assert labels.check("label", "1", 1).tolist() == [0] and labels.check("label", ["2", "03"], 2).tolist() == [1, 2]
    assert labels.check("label", 1, 1).tolist() == [1] and labels.check("label", [0, 2], 2).tolist() == [0, 2]
    for text in ("0", "3", "-1"):
        with pytest.raises(ConditionError, match=f"'label': no class is called {text}; they are called 1, 2, 03$"):
            labels.check("label", text, 1)
    assert Labels(2, ["00", "01"]).check("label", "1", 1).tolist() == [1], "each its own number"


def test_other_names_for_the_same_classes() -> None:
    space = ConditionSpace({"label": Labels(2), "style": Labels(3)}).with_class_names(["cat", "dog"])
    assert space.class_names == ("cat", "dog") and space["style"].names == ()
    assert ConditionSpace(absent="why").with_class_names(["cat"]).absent == "why"
    with pytest.raises(ConditionError, match="2 classes need 2 names, got 1"):
        space.with_class_names(["cat"])


def test_why_there_is_no_condition_is_said() -> None:
    with pytest.raises(ConditionError, match=r"no condition 'label': it was switched off$"):
        ConditionSpace(absent="it was switched off").check({"label": 1}, 2)


def test_names_are_told_with_their_numbers() -> None:
    assert numbered(["cat", "dog"]) == "0: cat, 1: dog" and numbered(["0", "1"]) == "0, 1" and numbered([]) == ""
