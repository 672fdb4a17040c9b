from __future__ import annotations

import pytest
import torch

from genkit.core.randomness import Noise
from genkit.posthoc.directions.deformators import one_hot
from genkit.posthoc.directions.shifts import Shifts, pushed
from tests.posthoc.directions.fixture import read

N = 400_000


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_moments_of_the_authors_shifts(kind: str) -> None:
    told = next(case for case in read().config["shifts"] if case["name"] == kind)
    shifts = Shifts(told["shift_scale"], told["min_shift"], kind)
    target, eps = shifts.draw(Noise(N, torch.Generator().manual_seed(0)), 7)
    exact = told["exact"]
    for side in (told["min_shift"], -told["min_shift"]):
        assert (eps == side).float().mean().item() == pytest.approx(exact["mass_at_each_min"], abs=1.5e-3)
    assert eps.abs().mean().item() == pytest.approx(exact["mean_abs"], rel=5e-3)
    assert eps.square().mean().item() == pytest.approx(exact["mean_sq"], rel=1e-2)
    assert eps.abs().min() == told["min_shift"]
    assert kind == "normal" or eps.abs().max() <= exact["max_abs"]
    assert eps.mean().abs() < 0.03
    assert (torch.bincount(target, minlength=7) / N - 1 / 7).abs().max() < 3e-3


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_rows_have_their_strength_at_their_direction(kind: str) -> None:
    io = read().of(f"shifts_{kind}")
    assert one_hot(io["target"], io["eps"], 7).equal(io["onehot"])


def test_small_strengths_are_pushed_to_their_side() -> None:
    eps = torch.tensor([-0.1, 0.1, 0.0, -0.5, 3.0])
    assert pushed(eps, 0.5).tolist() == [-0.5, 0.5, 0.0, -0.5, 3.0]
