"""Architectures of torchvision with weights of one's own."""

from __future__ import annotations

import sys

import pytest
import torch
from torchvision import models

from genkit.classifiers.library_classifier import LibraryClassifier, load_weights, outputs_in
from genkit.core.errors import RecipeError, WeightsError
from genkit.core.pretrained import Pretrained

RESNET = "torchvision:resnet18"


def test_logits_are_torchvisions_with_loaded_weights(tmp_path) -> None:
    torch.manual_seed(5)
    reference = models.resnet18(weights=None, num_classes=3).eval()
    assert outputs_in(RESNET, reference.state_dict()) == 3
    classifier = LibraryClassifier(RESNET, 32, 3)
    load_weights(classifier, reference.state_dict(), "w")
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(classifier.eval()(x), reference((x + 1) / 2))
    again = Pretrained.from_pretrained(classifier.save_pretrained(tmp_path))
    torch.testing.assert_close(again(x), classifier(x), rtol=0, atol=0)


def test_a_single_output_tells_two_classes_apart() -> None:
    state = models.resnet18(weights=None, num_classes=1).state_dict()
    assert outputs_in(RESNET, state) == 1
    classifier = LibraryClassifier(RESNET, 32, 2, single=True)
    load_weights(classifier, state, "w")
    assert classifier(torch.zeros(2, 3, 32, 32)).shape == (2, 2)
    with pytest.raises(RecipeError, match="2 classes apart, not 3"):
        LibraryClassifier(RESNET, 32, 3, single=True)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(RecipeError, match="did you mean 'resnet18'"):
        LibraryClassifier("torchvision:resnet8", 32, 3)
    with pytest.raises(RecipeError, match="no 'fcn_resnet50'"):  # a segmentation, no classifier
        LibraryClassifier("torchvision:fcn_resnet50", 32, 3)
    with pytest.raises(RecipeError, match="written as torchvision:resnet18"):
        LibraryClassifier("os:system", 32, 3)
    state = models.resnet18(weights=None, num_classes=3).state_dict()
    with pytest.raises(WeightsError, match="not of torchvision:squeezenet1_1"):
        outputs_in("torchvision:squeezenet1_1", state)
    state["fc.bias"][0] = float("nan")
    with pytest.raises(WeightsError, match=r"not finite 'fc\.bias'"):
        load_weights(LibraryClassifier(RESNET, 32, 3), state, "w")


def test_logits_are_timms_with_loaded_weights(tmp_path) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(5)
    reference = timm.create_model("resnet10t", pretrained=False, num_classes=3).eval()
    assert outputs_in("timm:resnet10t", reference.state_dict()) == 3
    classifier = LibraryClassifier("timm:resnet10t", 32, 3)
    load_weights(classifier, reference.state_dict(), "w")
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(classifier.eval()(x), reference((x + 1) / 2))
    again = Pretrained.from_pretrained(classifier.save_pretrained(tmp_path))
    torch.testing.assert_close(again(x), classifier(x), rtol=0, atol=0)
    with pytest.raises(RecipeError, match="timm has no 'resnet10u'; did you mean 'resnet10t'"):
        LibraryClassifier("timm:resnet10u", 32, 3)


def test_timm_is_asked_for_where_it_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(RecipeError, match="pip install timm"):
        LibraryClassifier("timm:resnet18", 32, 3)
