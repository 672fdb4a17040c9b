from __future__ import annotations

import math

import pytest

from genkit.training.rate_schedules import Constant, Cosine, Inverse, LearningRate, Linear

CASES = [
    (Constant(), [1, 1, 1, 1]),
    (Constant(warmup=3), [0.25, 0.5, 0.75, 1]),
    (Linear(), [1, 0.75, 0.5, 0.25]),
    (Linear(start=2, floor=0.5), [1, 1, 1, 0.75]),
    (Cosine(), [(1 + math.cos(math.pi * k / 4)) / 2 for k in range(4)]),
    (Inverse(rate=1, power=2), [1, 1 / 4, 1 / 9, 1 / 16]),
    (Inverse(), [(1 + 1e-4 * k) ** -0.75 for k in range(4)]),
    (Cosine(warmup=1, floor=0.2), [0.5, 1, 0.2 + 0.8 * 0.75, 0.2 + 0.8 * 0.25]),
]


@pytest.mark.parametrize(("schedule", "factors"), CASES, ids=lambda v: repr(v)[:40])
def test_factors(schedule: LearningRate, factors: list[float]) -> None:
    assert [schedule.factor(step, 4) for step in range(4)] == pytest.approx(factors)


@pytest.mark.parametrize("schedule", [Constant(5), Linear(3, 0.1), Linear(50), Cosine(5, 0.1), Cosine(50), Inverse(9)])
@pytest.mark.parametrize("steps", [1, 2, 10])
def test_factors_stay_between_zero_and_one(schedule: LearningRate, steps: int) -> None:
    assert all(0 < schedule.factor(step, steps) <= 1 for step in range(steps))
