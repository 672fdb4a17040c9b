from __future__ import annotations

import pytest
import torch

from genkit.gan.slots import Judged, Uniform
from genkit.gan.softmax_weighting import SoftmaxWeighting, effective_sample_size, softmax_weights


def test_weights_are_mean_one_without_a_graph_and_favour_high_scores() -> None:
    score = torch.tensor([0.0, 1.0, 3.0], requires_grad=True)
    weights = softmax_weights(score)
    assert not weights.requires_grad and weights.mean().item() == pytest.approx(1)
    torch.testing.assert_close(weights, 3 * score.detach().exp() / score.detach().exp().sum())
    torch.testing.assert_close(softmax_weights(score, 2.0), softmax_weights(score / 2))


def test_effective_sample_size_runs_from_one_to_the_batch() -> None:
    assert effective_sample_size(torch.ones(7)).item() == pytest.approx(7)
    assert effective_sample_size(torch.tensor([4.0, 0, 0, 0])).item() == pytest.approx(1)
    weighting = SoftmaxWeighting()
    assert weighting.observe(softmax_weights(torch.zeros(5)))["effective_sample_size"].item() == pytest.approx(5)


def test_uniform_weights_are_ones() -> None:
    score = torch.randn(4)
    assert Uniform()(Judged(score, {}, score, None)).equal(torch.ones(4)) and not Uniform.coupled
    assert SoftmaxWeighting.coupled
