"""examples/background_mask: masks by a direction, beside the true ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from genkit.posthoc.directions.deformators import FixedDirections
from genkit.posthoc.directions.directions import Directions
from genkit.posthoc.directions.own_generator import OwnGenerator

EXAMPLE = Path(__file__).parents[2] / "examples" / "background_mask"
SEEDS, REACH = range(16), 1.4


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(EXAMPLE)
    yield import_module("background_mask")
    sys.modules.pop("background_mask")


def test_the_true_direction_is_chosen_and_its_masks_are_true(example: Any) -> None:
    made = example.Discs()
    factors = Directions(OwnGenerator(made), FixedDirections.of(made.turn[:5]))
    assert example.background(factors, REACH) == 4
    true = example.true_masks(made, SEEDS)
    overlaps = [example.overlap(example.masks(factors, k, SEEDS, REACH), true) for k in range(5)]
    assert overlaps[4] > 0.99 and max(overlaps[:4]) < 0.3


@pytest.mark.slow
def test_the_learned_one_is_near_enough(example: Any) -> None:
    assert example.main() > 0.75
