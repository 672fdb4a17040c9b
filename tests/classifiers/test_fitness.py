"""Classifiers that cannot be explained are refused before work starts, each with its reason."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from genkit.classifiers.fitness import check_explicable, like_probabilities, refuse_probabilities, temperature_for
from genkit.classifiers.foreign_classifier import logits_of
from genkit.core.errors import WeightsError

X = torch.linspace(-1, 1, 4 * 3 * 8 * 8).view(4, 3, 8, 8)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(192, 2).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1))


def through(change: object) -> nn.Module:
    class Changed(Net):
        def forward(self, x: Tensor) -> Tensor:
            return change(super().forward(x))  # type: ignore[operator]

    return Changed()


@pytest.mark.parametrize(("margin", "temperature"), [(1.0, 1), (2.0, 1), (4.0, 2), (9.0, 5), (1e4, 4552)])
def test_the_temperature_at_which_it_is_not_certain(margin: float, temperature: int) -> None:
    logits = torch.tensor([[0.0, margin], [margin, 0.0]])
    assert temperature_for(logits) == temperature
    assert (logits / temperature).softmax(1).amax() <= 0.9


def test_logits_beyond_any_temperature_are_refused() -> None:
    with pytest.raises(WeightsError, match="even where its logits are divided by 1,000,000"):
        temperature_for(torch.tensor([[0.0, 1e30], [1e30, 0.0]]))


class Fails(nn.Module):
    def __init__(self, fault: Exception):
        super().__init__()
        self.fault = fault

    def forward(self, x: Tensor) -> Tensor:
        raise self.fault


def test_advice_fits_what_a_classifier_fails_with() -> None:
    with pytest.raises(WeightsError, match=r"ZeroDivisionError: division by zero$"):
        check_explicable(Fails(ZeroDivisionError("division by zero")), X)
    with pytest.raises(WeightsError, match="images are float32: convert them"):
        check_explicable(Net().double(), X)
    with pytest.raises(WeightsError, match=r"word\.\.\."):
        check_explicable(Fails(RuntimeError("word " * 40)), X)


def test_a_frozen_classifier_is_taken() -> None:
    check_explicable(Net(), X)
    check_explicable(through(lambda y: y.log_softmax(1)), X)
    check_explicable(through(lambda y: logits_of(y[:, :1])), X)


def test_probabilities_are_told_from_logits() -> None:
    z = torch.linspace(-3, 3, 50)[:, None]
    with pytest.raises(WeightsError, match="leave its last sigmoid out"):
        refuse_probabilities(logits_of(z.sigmoid()))
    with pytest.raises(WeightsError, match="leave its last softmax out"):
        refuse_probabilities(torch.cat([z, -z], 1).softmax(1))
    for logits in (logits_of(z), logits_of(0.1 * z), torch.cat([z, -z], 1).log_softmax(1)):
        refuse_probabilities(logits)
        assert not [*like_probabilities(logits)]
    (said,) = like_probabilities(torch.cat([z, -z, z + 1], 1).sigmoid())
    assert "lie between 0 and 1" in said


@pytest.mark.parametrize(
    ("classifier", "message"),
    [
        (through(lambda y: y.detach()), "no gradient of the classifier reaches its images"),
        (through(lambda y: y * float("nan")), "not finite"),
        (through(lambda y: y[:, :1]), "needs at least 2 classes, and the classifier has 1"),
        (through(lambda y: y + torch.randn_like(y)), "says other numbers of the same images each time"),
        (through(lambda y: y * 0), "does not depend on its images"),
        (through(lambda y: y.sum()), r"gives a tensor \(\) for 4 images"),
        (through(lambda y: y[:2]), r"gives a tensor \(2, 2\) for 4 images"),
        (through(lambda y: (y * 0).abs().sqrt() + y), "gradients of the classifier are not finite"),
        (nn.Sequential(nn.Flatten(), nn.Linear(5, 2)), r"does not take images \(4, 3, 8, 8\).*--input-size and --grey"),
    ],
)
def test_each_fault_has_its_line(classifier: nn.Module, message: str) -> None:
    with pytest.raises(WeightsError, match=message) as refused:
        check_explicable(classifier, X)
    assert "\n" not in str(refused.value)
