"""Accuracy of classifiers, clean and noisy."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from genkit.core.errors import EvaluationError, RecipeError
from genkit.data.dataset import DataSet
from genkit.evaluation import accuracy
from genkit.evaluation.judges import ByAccuracy
from genkit.training.recipe import Evaluate


class ByBrightness:
    """Calls bright images 1."""

    device = torch.device("cpu")

    def right(self, x: Tensor, label: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        return {"accuracy": (x.mean((1, 2, 3)) > 0).long() == label, "never": label < 0}


def squares(labels: list[int] | None) -> DataSet:
    x = torch.zeros(8, 1, 2, 2, dtype=torch.uint8)
    x[4:] = 255
    return DataSet("squares", x, None if labels is None else torch.tensor(labels))


def test_counts_what_is_right() -> None:
    found = accuracy(ByBrightness(), squares([0, 0, 0, 1, 1, 1, 1, 1]))
    assert found["values"] == {"accuracy": 7 / 8, "never": 0.0}
    assert found["standard_errors"]["accuracy"] == pytest.approx((7 / 64 / 8) ** 0.5)
    assert found["against"]["n"] == 8 and found["better"]["accuracy"] == "higher"
    assert found["standard_errors"]["never"] is None, "none of 8 is right, and that has no scatter"
    assert found["classes"] == {"n": {"0": 3, "1": 5}, "right": {"0": 1.0, "1": 0.8}}
    assert found["balanced"] == pytest.approx(0.9) and found["commonest"] == 5 / 8
    assert accuracy(ByBrightness(), squares([0, 0, 0, 1, 1, 1, 1, 1]), n=3)["against"]["n"] == 3


def test_classes_of_one_name_are_told_apart() -> None:
    data = squares([0, 0, 0, 1, 1, 1, 1, 1])
    found = accuracy(ByBrightness(), dataclasses.replace(data, classes=("square", "square")))
    assert found["classes"] == {
        "n": {"square (0)": 3, "square (1)": 5},
        "right": {"square (0)": 1.0, "square (1)": 0.8},
    }
    assert found["balanced"] == pytest.approx(0.9)


def test_unlabelled_data_are_refused() -> None:
    with pytest.raises(EvaluationError, match="squares has no labels"):
        accuracy(ByBrightness(), squares(None))


class Named(ByBrightness):
    """Class 0 is dark."""

    class_names = ("Dark/dim", "bright", "red")
    classes = 3


def named(labels: list[int], classes: tuple[str, ...]) -> DataSet:
    return DataSet("squares", squares(None).x, torch.tensor(labels), classes)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [([0] * 4 + [1] * 4, ("dark", "bright")), ([1] * 4 + [0] * 4, ("Bright", "dark")), ([0] * 4 + [1] * 4, ())],
    ids=["alike", "in another order", "without names"],
)
def test_classes_are_matched_by_name(labels: list[int], classes: tuple[str, ...]) -> None:
    assert accuracy(Named(), named(labels, classes))["values"]["accuracy"] == 1


def test_classes_that_are_not_known_are_refused() -> None:
    with pytest.raises(EvaluationError, match="squares has a class 'light', and the classifier knows Dark/dim, bright"):
        accuracy(Named(), named([0] * 4 + [1] * 4, ("dark", "light")))
    with pytest.raises(EvaluationError, match="squares has 4 classes, the classifier 3"):
        accuracy(Named(), named([0] * 4 + [3] * 4, ()))


def test_a_run_refuses_them_before_training() -> None:
    asked = Evaluate(metrics=["accuracy"], best="accuracy")
    product, data = Named(), named([0] * 4 + [1] * 4, ("dark", "light"))
    product.sample_shape = data.sample_shape  # type: ignore[attr-defined]
    with pytest.raises(RecipeError, match=r"evaluate\.against: squares has a class 'light'"):
        ByAccuracy().check_reference(asked, product, data)
