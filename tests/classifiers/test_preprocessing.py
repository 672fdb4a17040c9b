"""Preparation of images, and what becomes of a network's output."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from genkit.classifiers.foreign_classifier import logits_of
from genkit.classifiers.preprocessing import Preprocessing
from genkit.core.errors import RecipeError, WeightsError


def test_ranges_and_normalisation_are_torchvisions() -> None:
    from torchvision.transforms import Normalize

    x = torch.rand(2, 3, 8, 8) * 2 - 1
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    torch.testing.assert_close(Preprocessing(mean=mean, std=std)(x), Normalize(mean, std)((x + 1) / 2))
    torch.testing.assert_close(Preprocessing(range=(0, 255), mean=(100,))(x), (x + 1) * 127.5 - 100)
    torch.testing.assert_close(Preprocessing(range=(-1, 1))(x), x)


def test_size_is_changed_with_a_gradient() -> None:
    x = torch.rand(2, 1, 8, 8, requires_grad=True)
    y = Preprocessing(grey=True, input_size=20)(x)
    assert y.shape == (2, 1, 20, 20)
    y.sum().backward()
    assert x.grad is not None and bool(x.grad.all())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"mean": (1, 2)}, "mean: 3"), ({"std": (0.0,)}, "above 0"), ({"range": (1, 1)}, "range: black and white")],
)
def test_impossible_ones_are_refused(arguments: dict[str, tuple[float, ...]], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Preprocessing(**arguments)  # type: ignore[arg-type]


def test_one_output_is_a_logit_of_two_classes() -> None:
    z = torch.tensor([-2.0, 0.0, 3.0])
    for output in (z, z[:, None], z[:, None, None, None]):
        logits = logits_of(output)
        torch.testing.assert_close(logits.softmax(1)[:, 1], z.sigmoid())
        torch.testing.assert_close(logits[:, 0], -logits[:, 1])


def test_other_outputs() -> None:
    logits = torch.randn(2, 5)
    assert logits_of(logits) is logits
    assert logits_of(SimpleNamespace(logits=logits)) is logits
    torch.testing.assert_close(logits_of(logits[:, :, None, None]), logits)
    with pytest.raises(WeightsError, match=r"tensor \(2, 5, 3\)"):
        logits_of(torch.zeros(2, 5, 3))
    with pytest.raises(WeightsError, match="gives a tuple"):
        logits_of((logits,))
