from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from genkit.core.errors import RecipeError
from genkit.diffusion.schedules import cosine_betas, linear_betas, space_steps


@pytest.mark.parametrize("steps", [50, 1000, 4000])
def test_linear_noises_alike_whatever_the_steps(steps: int) -> None:
    betas = linear_betas(steps)
    assert betas.dtype == torch.float64 and len(betas) == steps
    assert betas[0].item() == pytest.approx(0.1 / steps, rel=1e-14)
    assert betas[-1].item() == pytest.approx(20 / steps, rel=1e-14)
    assert betas.sum().item() == pytest.approx(10.05, rel=1e-12)
    assert (betas.diff() - 19.9 / steps / (steps - 1)).abs().max() < 1e-15


def test_cosine_telescopes_to_the_square_of_a_cosine() -> None:
    steps = 4000
    betas = cosine_betas(steps)
    assert betas.dtype == torch.float64 and betas[-1].item() == 0.999 and betas[-2].item() < 0.999
    abar = (1 - betas).cumprod(0)
    signal = [math.cos((i / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(steps + 1)]
    want = torch.tensor([s / signal[0] for s in signal[1:]], dtype=torch.float64)
    torch.testing.assert_close(abar[:-1], want[:-1], rtol=1e-11, atol=0)
    assert abar[-1] > 1e6 * want[-1], "the last beta is cut, so that some signal is left"


@pytest.mark.parametrize("steps", [2, 10, 20])
def test_a_linear_schedule_too_short_to_be_one_is_refused(steps: int) -> None:
    with pytest.raises(RecipeError, match=f"steps: a linear schedule needs more than 20, got {steps}"):
        linear_betas(steps)
    assert linear_betas(21).max() < 1 and cosine_betas(2).max() < 1


@pytest.mark.parametrize("count", [2, 7, 25, 250, 999, 1000])
def test_a_number_spreads_from_the_first_step_to_the_last(count: int) -> None:
    kept = space_steps(1000, str(count))
    assert len(kept) == count and (kept[0], kept[-1]) == (0, 999)
    gaps = {b - a for a, b in pairwise(kept)}
    assert max(gaps) - min(gaps) <= 1
    assert space_steps(1000, count) == kept, "a number may be written as one"


def test_sections() -> None:
    kept = space_steps(302, "10, 15,20")
    assert [len([k for k in kept if a <= k < b]) for a, b in ((0, 101), (101, 202), (202, 302))] == [10, 15, 20]
    assert {0, 100, 101, 201, 202, 301} <= set(kept)
    assert space_steps(10, "1,1") == [0, 5], "one step is the first of its section"
    assert space_steps(7, "") == list(range(7))
    assert space_steps(10, "0,5") == [5, 6, 7, 8, 9], "a section may keep nothing"


def test_strides() -> None:
    assert space_steps(1000, "ddim25") == list(range(0, 1000, 40))
    assert space_steps(1000, "ddim30") == list(range(0, 1000, 34))
    assert space_steps(50, "ddim50") == list(range(50))


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ("ddim400", r"no whole stride leaves 400 of 1000 steps; the nearest that work are ddim250, ddim334, ddim500"),
        ("ddim1001", "no whole stride leaves 1001"),
        ("ddim0", "every number at least 1"),
        ("ddim", "write '25'"),
        ("1001", "1001 steps do not fit into the process of 1000 steps; at most 1000"),
        ("400,400,400", "400 steps do not fit into a section of 33[34]"),
        ("0", "every number at least 1"),
        ("0,0", "no step is kept"),
        (0, "every number at least 1"),
        ("-5", "write '25'"),
        ("2.5", "write '25'"),
        ("10,", "write '25'"),
        ("quick", "write '25'"),
    ],
)
def test_what_cannot_be_spaced_is_refused_in_one_line(kept: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as refusal:
        space_steps(1000, kept)
    assert str(refusal.value).startswith("steps '") and "\n" not in str(refusal.value)
