from __future__ import annotations

import warnings

import pytest
import torch

from genkit.core import catalog
from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.condition import ConditionSpace
from genkit.core.errors import BeyondTraining, ConditionError, RecipeError
from genkit.core.randomness import Noise, Rows

SIZE, HUE = Values(0.3, 0.7), Values(0, 1, cyclic=True)
NAN = float("nan")


@pytest.mark.parametrize("given", [0.5, "0.5", [0.5], ["5e-1"], torch.tensor(0.5), torch.tensor([[0.5]]).double()])
def test_one_number_stands_for_all(given: object) -> None:
    rows = SIZE.check("size", given, 3)
    assert rows.tolist() == [0.5, 0.5, 0.5] and rows.dtype == torch.float32
    rows[0] = 0
    assert rows[1] == 0.5, "the rows are separate"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([0.4, 0.5], "needs one row per sample: 3 samples, 2 numbers"),
        (0.71, "takes numbers from 0.3 to 0.7; got 0.71"),
        ([0.5, 0.5, 0.1], "got 0.1"),
        (NAN, "got nan"),
        ("inf", "got 'inf'"),
        ("nan", "got 'nan'"),
        ("big", "got 'big'"),
        ("", "got ''"),
        (None, "takes numbers, got None"),
        ([[0.4], [0.4, 0.5]], "takes numbers, got"),
        (torch.tensor([True]), "takes numbers, got torch.bool"),
        (1j, "takes numbers, got torch.complex"),
    ],
)
def test_what_is_no_number_of_the_range_is_refused(given: object, message: str) -> None:
    with pytest.raises(ConditionError, match=f"^condition 'size' .*{message}"):
        SIZE.check("size", given, 3)


def test_the_ends_of_the_range_belong_to_it() -> None:
    assert SIZE.check("size", [0.3, 0.7], 2).equal(torch.tensor([0.3, 0.7]))
    assert SIZE.check("size", torch.tensor([0.3, 0.7]), 2).equal(torch.tensor([0.3, 0.7]))


def test_a_period_further_is_the_same() -> None:
    rows = HUE.check("hue", [0.25, 1.25, -0.75, 7.25, 0.0, 1.0, -1e-12], 7)
    assert rows.equal(torch.tensor([0.25, 0.25, 0.25, 0.25, 0, 0, 0]))
    angle = Values(-180, 180, cyclic=True, unit="deg")
    assert angle.check("angle", [190, -190, 180], 3).tolist() == [-170, 170, -180]
    assert angle.distance(torch.tensor([170.0, 10]), torch.tensor([-170.0, 30])).tolist() == [20, 20]
    assert Values(0, 360).distance(torch.tensor([350.0]), torch.tensor([10.0])).tolist() == [340]


def test_numbers_are_drawn_uniformly_and_row_by_row() -> None:
    drawn = SIZE.draw(Rows(2000, torch.Generator().manual_seed(0)))
    assert drawn.dtype == torch.float32 and 0.3 <= drawn.min() < 0.305 and 0.695 < drawn.max() <= 0.7
    assert abs(drawn.mean() - 0.5) < 0.01 and abs(drawn.std() - 0.4 / 12**0.5) < 0.01
    assert SIZE.draw(Rows(3, torch.Generator().manual_seed(0))).equal(drawn[:3])
    assert SIZE.check("size", drawn, 2000).equal(drawn)


def test_a_free_column_leaves_what_is_not_asked_for() -> None:
    space = ConditionSpace({"size": SIZE.left_free(), "hue": HUE, "shape": Labels(4).left_free()})
    for randomness in (Rows(5), Noise(5)):
        rows = space.resolve(None, 5, randomness)
        assert rows["size"].isnan().all() and rows["size"].dtype == torch.float32 and rows["size"].shape == (5,)
        assert rows["shape"].eq(-1).all() and rows["shape"].dtype == torch.int64
        assert not rows["hue"].isnan().any()
    some = space.check({"size": [0.5, NAN], "shape": [2, -1]}, 2)
    assert space["size"].asked(some["size"]).tolist() == [True, False] == space["shape"].asked(some["shape"]).tolist()
    assert not SIZE.free and not Labels(4).free, "the column that it was made of stays"
    assert space["size"].config == SIZE.config | {"free": True}


@pytest.mark.parametrize(("text", "column"), [("-1", Labels(4)), ("nan", SIZE)])
def test_no_text_says_nothing(text: str, column: Labels | Values) -> None:
    with pytest.raises(ConditionError, match=f"takes .*got '?{text}"):
        column.left_free().check("name", text, 1)


def test_beyond_what_was_learned_a_free_column_warns() -> None:
    with pytest.warns(BeyondTraining, match="^condition 'size': 0.9 is beyond what was learned, 0.3 to 0.7$"):
        assert SIZE.left_free().check("size", [0.5, 0.9], 2).equal(torch.tensor([0.5, 0.9]))
    with pytest.warns(BeyondTraining, match="^condition 'size': 0, 0.1, 0.2, 0.25, ... are beyond what was learned"):
        SIZE.left_free().check("size", [1.0, 0.25, 0.2, 0.5, 0.1, 0.0, 0.9], 7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SIZE.left_free().check("size", [0.5, NAN], 2)
        HUE.left_free().check("hue", [-0.7, 1.5, NAN], 3)
    turns = "^condition 'hue': 44.25 is taken as 0.25; 0 to 1 is once round the circle$"
    with pytest.warns(BeyondTraining, match=turns):
        assert HUE.left_free().check("hue", [0.5, 44.25], 2).tolist() == [0.5, 0.25]
    with pytest.raises(ConditionError, match="got inf"):
        SIZE.left_free().check("size", float("inf"), 1)


@pytest.mark.parametrize(
    ("mine", "offered", "fits"),
    [
        (SIZE, Values(0.3, 0.7), True),
        (SIZE, Values(0.4, 0.6), True),
        (SIZE, Values(0.4, 0.8), False),
        (SIZE, Values(0.2, 0.6), False),
        (HUE, Values(0, 1), False),
        (HUE, Values(0.25, 0.75, cyclic=True), False),
        (HUE, Values(0, 1, cyclic=True), True),
        (Values(0, 90, unit="deg"), Values(0, 90, unit="years"), False),
        (Values(0, 90, unit="deg"), Values(0, 90), True),
        (SIZE, Labels(3), False),
    ],
)
def test_data_must_offer_the_same_numbers(mine: Values, offered: Values | Labels, fits: bool) -> None:
    assert (mine.misfit("size", offered) == "") == fits


def test_a_misfit_is_told() -> None:
    assert SIZE.misfit("size", None) == "takes numbers from 0.3 to 0.7 for 'size', but the data have none"
    told = Values(0, 360, cyclic=True, unit="deg").misfit("hue", HUE)
    assert (
        told
        == "takes numbers on a circle from 0 to 360 deg for 'hue', but the data have numbers on a circle from 0 to 1"
    )


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (0, float("inf")), (NAN, 1)])
def test_what_is_no_range_is_refused(low: float, high: float) -> None:
    with pytest.raises(ConditionError, match="finite range"):
        Values(low, high)


def test_files_describe_columns() -> None:
    for column in (Values(-30, 30, unit="deg"), HUE.left_free(), Labels(2, ["cat", "dog"])):
        again = catalog.build(column.config)
        assert type(again) is type(column) and again.config == column.config and again.about == column.about
    with pytest.raises(RecipeError, match=r"hue\.low: .*got 'red'"):
        catalog.build({"type": "values", "low": "red", "high": 1}, where="hue")
