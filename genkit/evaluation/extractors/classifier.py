"""Classifiers of genkit as extractors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from genkit.core.errors import EvaluationError
from genkit.core.location import sha256_of_weights
from genkit.core.pretrained import Pretrained
from genkit.evaluation.extractors.extractor import Extractor


def mnist_classifier() -> Extractor:
    """The shipped classifier of 28 x 28 grey digits."""
    return saved_classifier("mnist-classifier")


def fashion_mnist_classifier() -> Extractor:
    """The shipped classifier of 28 x 28 grey clothes."""
    return saved_classifier("fashion-mnist-classifier")


def saved_classifier(source: str) -> Extractor:
    """A classifier of genkit as an extractor, from shipped weights or any weights folder.

    Raises:
        EvaluationError: the weights hold no classifier.
        WeightsError: no such weights, or damaged.
    """
    module = Pretrained.from_pretrained(source)
    if not is_classifier(module):
        raise EvaluationError(f"{source} holds a {type(module).__name__}, which has no features; give a classifier")
    return of_classifier(module, Path(source).name, sha256_of_weights(source), by_content=True)


class FeaturesAndLogits(nn.Module):
    """A classifier with `features` and a linear `head` after them -> (features, logits), in one pass."""

    def __init__(self, classifier: nn.Module):
        super().__init__()
        self.classifier = classifier

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.classifier.features(x)  # type: ignore[operator]
        return features, self.classifier.head(features)  # type: ignore[operator]


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
