"""Accuracy of classifiers, clean and noisy."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genkit.core.errors import EvaluationError
from genkit.data.dataset import DataSet
from genkit.evaluation import accuracy


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
    assert accuracy(ByBrightness(), squares([0, 0, 0, 1, 1, 1, 1, 1]), n=3)["against"]["n"] == 3


def test_unlabelled_data_are_refused() -> None:
    with pytest.raises(EvaluationError, match="squares has no labels"):
        accuracy(ByBrightness(), squares(None))
