from __future__ import annotations

from typing import Any

import pytest
import torch

from genkit.core.columns.images import Images
from genkit.core.columns.labels import Labels, numbered
from genkit.core.columns.values import Values
from genkit.core.condition import ConditionSpace
from genkit.core.errors import ConditionError
from genkit.core.randomness import Rows


@pytest.mark.parametrize("given", [2, [2], torch.tensor(2), torch.tensor([2]), torch.tensor([[2]], dtype=torch.uint8)])
def test_one_label_stands_for_all(given: object) -> None:
    label = Labels(3).check("label", given, 4)
    assert label.tolist() == [2, 2, 2, 2] and label.dtype == torch.int64
    label[0] = 0
    assert label.tolist() == [0, 2, 2, 2], "the rows are separate"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("0,2", [0, 2, 0, 2, 0]),
        ("cat, dog", [0, 1, 0, 1, 0]),
        ("2", [2, 2, 2, 2, 2]),
        (" 2", [2, 2, 2, 2, 2]),
        ("bird,big", [2, 2, 2, 2, 2]),
        ("cat,bird,big, dog", [0, 2, 1, 0, 2]),
        ("0,1,2,0,1,2,0", [0, 1, 2, 0, 1]),
    ],
)
def test_labels_of_a_text_are_taken_in_turn(given: str, wanted: list[int]) -> None:
    assert Labels(3, ["cat", "dog", "bird,big"]).check("label", given, 5).tolist() == wanted


@pytest.mark.parametrize("given", ["0,", "0,3", "cat,mouse"])
def test_every_label_of_a_text_is_checked(given: str) -> None:
    with pytest.raises(ConditionError, match="'label'"):
        Labels(3, ["cat", "dog", "bird"]).check("label", given, 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([0, 1], "4 samples, 2 labels"),
        (torch.zeros(0, dtype=torch.int64), "4 samples, 0 labels"),
        ([0, 1, 2, 3], "takes 0 to 2, got 3"),
        (-1, "takes 0 to 2, got -1"),
        (1.0, "whole numbers, got torch.float32"),
        ("three", "whole numbers, got 'three'"),
        ("0,1,", "an empty label between commas in '0,1,'"),
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


@pytest.mark.parametrize("given", ["hue", 5, ["hue", 0.5]])
def test_conditions_have_names(given: Any) -> None:
    with pytest.raises(ConditionError, match="conditions are given by name, as "):
        ConditionSpace({"hue": Values(0, 1)}).check(given, 2)


def test_unknown_names_are_refused() -> None:
    space = ConditionSpace({"label": Labels(5)})
    with pytest.raises(ConditionError, match="'labels'; did you mean 'label'"):
        space.resolve({"labels": 1}, 2, Rows(2))
    with pytest.raises(ConditionError, match="'age', nor any other: it was trained without"):
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


GREY = Images((1, 2, 3))


@pytest.mark.parametrize("rows", [(), (1,), (3,)])
def test_an_image_a_sample_or_one_for_all(rows: tuple[int, ...]) -> None:
    given = torch.linspace(-1, 1, 6).expand(*rows, 6).reshape(*rows, 1, 2, 3).double()
    found = GREY.check("low_res", given, 3)
    assert found.shape == (3, 1, 2, 3) and found.dtype == torch.float32 and found[2].flatten()[-1] == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(3, 2, 3), r"takes grey images of 2 x 3, \[1, 2, 3\]; got \[1, 3, 2, 3\]"),
        (torch.zeros(1, 3, 2), r"got \[1, 1, 3, 2\]"),
        (torch.zeros(2, 1, 2, 3), "3 samples, 2 images"),
        (torch.zeros(1, 2, 3, dtype=torch.uint8), r"floats in \[-1, 1\]; got torch.uint8"),
        (torch.full((1, 2, 3), 1.5), r"floats in \[-1, 1\]; got 1.5"),
        (torch.full((1, 2, 3), torch.nan), r"floats in \[-1, 1\]; got nan"),
        ("photo.png", "got 'photo.png'"),
    ],
)
def test_wrong_images_are_refused(given: object, message: str) -> None:
    with pytest.raises(ConditionError, match=f"^condition 'low_res' .*{message}$"):
        GREY.check("low_res", given, 3)


def test_images_are_not_drawn_but_given() -> None:
    space = ConditionSpace({"label": Labels(5), "low_res": GREY})
    with pytest.raises(ConditionError, match="'low_res' must be given: grey images of 2 x 3, one or one a sample"):
        space.resolve({"label": 1}, 2, Rows(2))
    assert list(space.resolve({"low_res": torch.zeros(1, 2, 3)}, 2, Rows(2))) == ["label", "low_res"]


def test_or_taken_from_examples_with_what_belongs_to_them() -> None:
    def examples(randomness: Rows) -> dict[str, torch.Tensor]:
        label = randomness.integers(5)
        return {"label": label, "low_res": (label / 5).view(-1, 1, 1, 1).expand(-1, 1, 2, 3), "more": label}

    space = ConditionSpace({"label": Labels(5), "low_res": GREY}).with_examples(examples)
    found = space.resolve(None, 50, Rows(50, torch.Generator().manual_seed(0)))
    assert found.keys() == {"label", "low_res"} and len(found["label"].unique()) == 5
    assert found["low_res"][:, 0, 0, 0].mul(5).round().long().equal(found["label"])
    again = space.resolve(None, 3, Rows(3, torch.Generator().manual_seed(0)))
    assert again["label"].equal(found["label"][:3]), "row i does not depend on the others"
    assert space.resolve({"label": 2}, 3, Rows(3))["label"].tolist() == [2, 2, 2], "what is given stays"
    images = {"low_res": torch.zeros(1, 2, 3)}
    assert space.resolve(images, 3, Rows(3))["low_res"].eq(0).all()
    wrong = space.with_examples(lambda randomness: {"low_res": torch.zeros(4, 1, 2, 3), "label": torch.full((4,), 9)})
    with pytest.raises(ConditionError, match="'label' takes 0 to 4, got 9"):
        wrong.resolve(None, 4, Rows(4))


def test_columns_tell_what_data_must_offer() -> None:
    assert Labels(3).misfit("label", Labels(3)) == "" == GREY.misfit("low_res", Images([1, 2, 3]))
    assert Labels(3).misfit("label", None) == "takes 3 classes of 'label', but the data have 0"
    assert Labels(3).misfit("label", GREY) == "takes 3 classes of 'label', but the data have 0"
    assert GREY.misfit("low", None) == "takes grey images of 2 x 3 for 'low', but the data have none"
    assert GREY.misfit("low", Images((3, 2, 3))).endswith("have colour images of 2 x 3")
