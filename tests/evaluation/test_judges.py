"""The floor of a score: what real samples get."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genkit.core.catalog import build
from genkit.data.dataset import DataSet
from genkit.evaluation.judges import BySamples

DIGITS: DataSet = build({"type": "digits"})
ASKED: Any = SimpleNamespace(metrics=["fd"], n=100, extractor="mnist-classifier", best="fd")


def digits(first: int, last: int) -> DataSet:
    return DIGITS.taken("digits", torch.arange(first, last))


@pytest.mark.parametrize(
    ("against", "n"),
    [("itself", 50), ("the same, named again", 50), ("as many others", 100)],
)
def test_no_image_is_scored_against_itself(against: str, n: int) -> None:
    data = digits(0, 100)
    reference = {"itself": data, "as many others": digits(100, 200)}.get(against, digits(0, 100))
    found = BySamples().floor(data, reference, ASKED, 0, None)
    assert found["n"] == n and found["values"]["fd"] > 0.01
