"""The area under the curve of a ranking."""

from __future__ import annotations

import pytest
import torch

from genkit.core.errors import EvaluationError
from genkit.evaluation.functional.ranking import auroc


def test_it_is_the_share_of_pairs_in_order_with_ties_counted_half() -> None:
    rng = torch.Generator().manual_seed(0)
    score, positive = torch.randint(0, 6, (40,), generator=rng).double(), torch.rand(40, generator=rng) < 0.3
    ups, downs = score[positive][:, None], score[~positive][None]
    want = ((ups > downs).double() + 0.5 * (ups == downs).double()).mean().item()
    assert auroc(score, positive) == pytest.approx(want, abs=1e-12)
    assert auroc(-score, positive) == pytest.approx(1 - want, abs=1e-12)


def test_perfect_and_blind() -> None:
    truth = torch.tensor([False, False, True])
    assert auroc(torch.tensor([0.0, 1.0, 2.0]), truth) == 1
    assert auroc(torch.zeros(3), truth) == 0.5


@pytest.mark.parametrize(
    ("score", "truth", "words"),
    [
        (torch.zeros(3), torch.zeros(2, dtype=torch.bool), "a truth a sample"),
        (torch.tensor([0.0, torch.nan]), torch.tensor([True, False]), "not finite"),
        (torch.zeros(2), torch.ones(2, dtype=torch.bool), "0 negative"),
    ],
)
def test_refusals(score: torch.Tensor, truth: torch.Tensor, words: str) -> None:
    with pytest.raises(EvaluationError, match=words):
        auroc(score, truth)
