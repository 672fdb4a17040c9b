from __future__ import annotations

import pytest
import torch
from torch import Tensor

import genkit
from genkit.classifiers.conv_classifier import Classifier
from genkit.core import catalog
from genkit.core.columns.values import Values
from genkit.core.condition import ConditionSpace, Labels
from genkit.core.errors import RecipeError
from genkit.gan.control.contrast import gram
from genkit.gan.control.measures import (
    GramMatrices,
    MeanColour,
    Measure,
    PredictedAttribute,
    PredictedClass,
    Readable,
    check_measure,
    embedded,
    reduced,
    values_read,
)
from tests.contracts.specs import CLASSIFIER, finished


def classifier() -> Classifier:
    torch.manual_seed(0)
    return Classifier(size=8, width=4, class_names=list("abcdefghij")).eval()


X = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_a_classifier_is_compared_by_probabilities_or_logits_and_read_by_probabilities() -> None:
    network = classifier()
    for compared in ("probabilities", "logits"):
        measure = PredictedClass(network, compared)  # type: ignore[arg-type]
        logits = network(X)
        torch.testing.assert_close(measure.embed(X), logits if compared == "logits" else logits.softmax(1))
        torch.testing.assert_close(measure.read(X), logits.softmax(1))
        assert isinstance(measure, Readable) and measure.column.names == tuple("abcdefghij")


def test_colour_and_texture_are_no_values_to_ask_for() -> None:
    network = classifier()
    seen = list[Tensor]()
    network.get_submodule("stages.2").register_forward_hook(lambda module, given, y: seen.append(y))
    texture = GramMatrices(network, "stages.2").embed(X)
    torch.testing.assert_close(texture, gram(seen[0]))
    torch.testing.assert_close(MeanColour().embed(X), (X.mean((2, 3)) + 1) / 2)
    for measure in (MeanColour(), GramMatrices(network, "stages.2")):
        assert isinstance(measure, Measure) and not isinstance(measure, Readable)
    with pytest.raises(RecipeError, match=r"layer: the network has no 'stages\.22'; did you mean 'stages\.2'"):
        GramMatrices(network, "stages.22")


class Reads(torch.nn.Module):
    sample_shape = (1, 8, 8)
    conditions = ConditionSpace({"shape": Labels(3)})

    def embed(self, x: Tensor, name: str) -> Tensor:
        return x.flatten(1)[:, :3].softmax(1)

    def predict(self, x: Tensor) -> dict[str, Tensor]:
        return {"shape": self.embed(x, "shape").argmax(1)}


def test_one_attribute_of_a_predictor() -> None:
    measure = PredictedAttribute(Reads(), "shape")
    assert isinstance(measure, Readable) and measure.column.about == "3 classes"
    torch.testing.assert_close(measure.read(X), measure.embed(X))
    with pytest.raises(RecipeError, match="the predictor reads no 'shade'; did you mean 'shape'"):
        PredictedAttribute(Reads(), "shade")
    check_measure(measure, (1, 16, 16), "shape")
    for other in ((3, 8, 8), (1, 12, 12), (1, 16, 8)):
        with pytest.raises(RecipeError, match=r"shape: its measure takes images of \[1, 8, 8\], and"):
            check_measure(measure, other, "shape")


def test_a_class_is_read_by_a_classifier_alone() -> None:
    told = "classifier: a classifier is needed, got a Reads; an attribute of a predictor is read by predicted_attribute"
    with pytest.raises(RecipeError, match=told):
        PredictedClass(Reads())


class Wrong(torch.nn.Module):
    """Reads a number, in a shape of its own."""

    column = Values(0, 1)

    def __init__(self, *shape: int):
        super().__init__()
        self.shape = shape

    def embed(self, x: Tensor) -> Tensor:
        return x.new_zeros(self.shape)

    read = embed


def test_what_a_measure_of_ones_own_gives_is_looked_at() -> None:
    with pytest.raises(RecipeError, match=r"ink: embed of its measure gives a tensor \[\]; \(3, \.\.\.\) is wanted"):
        embedded(Wrong(), X, "ink")
    with pytest.raises(RecipeError, match=r"ink: read of its measure gives a tensor \[3, 1\]; \[3\] is wanted here"):
        values_read(Wrong(3, 1), X, "ink")
    assert embedded(Wrong(3, 1), X, "ink").shape == (3, 1) and values_read(Wrong(3), X, "ink").shape == (3,)
    assert values_read(PredictedClass(classifier()), X, "class").shape == (3, 10)


def test_larger_images_are_made_small() -> None:
    larger = X.repeat_interleave(2, 2).repeat_interleave(2, 3)
    for measure in (PredictedClass(classifier()), GramMatrices(classifier(), "stages.2")):
        torch.testing.assert_close(reduced(larger, measure), X)
    assert reduced(larger, MeanColour()) is larger and reduced(X, PredictedClass(classifier())) is X


def test_finished_weights_that_measure_nothing_are_refused_with_what_they_lack() -> None:
    told = {"type": "contrastive", "attribute": "shape", "tau_plus": 0.0, "tau_minus": 1.0}
    with pytest.raises(RecipeError, match=r"measure.*holds a Classifier, not a Measure"):
        catalog.build({**told, "measure": finished(CLASSIFIER)})
    with pytest.raises(RecipeError, match="missing key 'measure'; Contrastive needs it"):
        catalog.build(told)


class Ink(torch.nn.Module):
    def embed(self, x: Tensor) -> Tensor:
        return x.mean((1, 2, 3))[:, None]


def test_a_module_of_ones_own_is_a_measure_once_it_is_registered() -> None:
    genkit.register("techniques", "ink", f"{__name__}:Ink", about="How much of an image is dark.")
    told = {"type": "contrastive", "attribute": "shape", "tau_plus": 0.0, "tau_minus": 1.0, "measure": {"type": "ink"}}
    try:
        assert isinstance(catalog.build(told).measure, Ink)
    finally:
        del catalog.CATALOG["techniques"]["ink"]
