from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genkit.core import catalog
from genkit.core.pretrained import Pretrained
from genkit.diffusion.noisy_classifier import NoisyClassifier
from genkit.diffusion.process import Process
from genkit.evaluation.classification import Classifying
from tests.contracts.specs import NOISY, seeded
from tests.diffusion.toys import Brightness


def images(n: int = 400) -> tuple[Tensor, Tensor]:
    label = torch.arange(n) % 2
    return (0.8 * label - 0.4).view(-1, 1, 1, 1).expand(n, 1, 4, 4), label


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_accuracy_falls_with_the_noise_and_is_told_at_five_levels() -> None:
    classifier = NoisyClassifier(Brightness(), Process(1000)).train()
    x, label = images()
    right = classifier.right(x, label, rng())
    assert list(right) == ["accuracy", *(f"accuracy_at_{t}" for t in (0, 250, 500, 749, 999))]
    shares = [v.float().mean().item() for v in right.values()]
    assert shares[1] == 1 and shares[1:-1] == sorted(shares[1:-1], reverse=True) and abs(shares[-1] - 0.5) < 0.1
    assert 0.6 < shares[0] < 0.98, "drawn steps lie between"
    assert all(v.dtype == torch.bool and v.shape == label.shape for v in right.values())
    assert classifier.training, "the mode is put back"
    wrong = classifier.right(x, 1 - label, rng())
    assert all(wrong[name].equal(~right[name]) for name in right)
    assert isinstance(classifier, Classifying)


def test_the_noise_comes_from_the_rng_alone() -> None:
    classifier, (x, label) = NoisyClassifier(Brightness(), Process(1000)), images()
    before = torch.get_rng_state()
    first, again, other = (classifier.right(x, label, rng(seed)) for seed in (0, 0, 1))
    assert torch.get_rng_state().equal(before)
    assert all(first[k].equal(again[k]) for k in first) and not first["accuracy"].equal(other["accuracy"])


def test_levels_carry_the_numbers_of_training_and_the_network_is_told_them() -> None:
    network = Brightness()
    right = NoisyClassifier(network, Process(4000, rescale_steps=True, kept="9")).right(*images(4), rng())
    assert list(right)[1:] == [f"accuracy_at_{t}" for t in (0, 1000, 2000, 2999, 3999)]
    assert [t[0].item() for t in network.timesteps[1:]] == [0, 250, 500, 749.75, 999.75]


def test_two_steps_are_enough() -> None:
    right = NoisyClassifier(Brightness(), Process(2)).right(*images(4), rng())
    assert list(right) == ["accuracy", "accuracy_at_0", "accuracy_at_1"]


def test_log_probability_is_that_of_the_label() -> None:
    classifier = NoisyClassifier(Brightness(1.5), Process(1000)).eval()
    x, label = images(6)
    logits = classifier(x, torch.zeros(6))
    assert logits.dtype == torch.float32
    want = (logits.softmax(1)[torch.arange(6), label]).log()
    torch.testing.assert_close(classifier.log_probability(x, torch.zeros(6), label), want)
    assert (want > classifier.log_probability(x, torch.zeros(6), 1 - label)).all()


def test_save_and_load(tmp_path: pytest.TempPathFactory) -> None:
    made = seeded(NOISY).eval()
    again = Pretrained.from_pretrained(made.save_pretrained(tmp_path))
    assert type(again) is NoisyClassifier and again.config == made.config and again.process.same_noise(made.process)
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([0.0, 19.0])
    assert again(x, t).equal(made(x, t)) and catalog.name_of(type(made)) == "noisy_classifier"
