"""Classifiers of genkit as extractors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from genkit.core.errors import EvaluationError, kind_of
from genkit.core.location import sha256_of_weights
from genkit.core.pretrained import Pretrained
from genkit.evaluation.extractors.extractor import Extractor


def mnist_classifier() -> Extractor:
    """The shipped classifier of 28 x 28 grey digits."""
    return saved_classifier("mnist-classifier")


def fashion_mnist_classifier() -> Extractor:
    """The shipped classifier of 28 x 28 grey clothes."""
    return saved_classifier("fashion-mnist-classifier")


def stacked_mnist_classifier() -> Extractor:
    """The shipped classifier of digits for each colour of 28 x 28 images: 1,000 classes, 000 to 999."""
    source = "mnist-classifier"
    digits: Any = Pretrained.from_pretrained(source)
    network = StackedDigits(FeaturesAndLogits(digits))
    names = tuple(f"{k:03d}" for k in range(1000))
    digest = sha256_of_weights(source)
    return Extractor("stacked-mnist-classifier", network, digest, 3, 28, "clean", class_names=names, logits=True)


def saved_classifier(source: str) -> Extractor:
    """A classifier of genkit as an extractor, from shipped weights or any weights folder.

    Raises:
        EvaluationError: the weights hold no classifier.
        WeightsError: no such weights, or damaged.
    """
    module = Pretrained.from_pretrained(source)
    if not is_classifier(module):
        raise EvaluationError(f"{source} holds {kind_of(module)}, which has no features; give a classifier")
    return of_classifier(module, Path(source).name, sha256_of_weights(source), by_content=True)


class FeaturesAndLogits(nn.Module):
    """A classifier with `features` and a linear `head` after them -> (features, logits), in one pass."""

    def __init__(self, classifier: nn.Module):
        super().__init__()
        self.classifier = classifier

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.classifier.features(x)  # type: ignore[operator]
        return features, self.classifier.head(features)  # type: ignore[operator]


class StackedDigits(nn.Module):
    """(B, 3, H, W) -> features of all colours (B, 3 d), and log-probabilities of all triples of digits (B, 1000)."""

    def __init__(self, digits: FeaturesAndLogits):
        super().__init__()
        self.digits = digits

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = self.digits(x.flatten(0, 1)[:, None])
        first, second, third = logits.log_softmax(1).unflatten(0, (-1, 3)).unbind(1)
        triples = first[:, :, None, None] + second[:, None, :, None] + third[:, None, None, :]
        return features.view(len(x), -1), triples.flatten(1)


def of_classifier(module: Any, name: str, digest: str, by_content: bool) -> Extractor:
    """The extractor of a classifier with the hash `digest`; other sizes are resized to its own by `clean`."""
    channels, size, _ = module.sample_shape
    network, names = FeaturesAndLogits(module), tuple(module.class_names) or tuple(map(str, range(module.classes)))
    return Extractor(
        name, network, digest, channels, size, "clean", by_content=by_content, class_names=names, logits=True
    )


def is_classifier(module: Any) -> bool:
    """Whether it has features with a linear head on them."""
    return all(hasattr(module, name) for name in ("features", "head", "feature_dim", "classes"))
