"""Extractors by name, and which one suits which data."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genkit.core.errors import EvaluationError, WeightsError, suggest
from genkit.core.location import sha256_of_weights
from genkit.core.pretrained import Pretrained
from genkit.evaluation.extractors.extractor import POINTS, Extractor, sha256_of_state

EXTRACTORS = {
    "inception": "the published FID Inception, TensorFlow 1 resize: FID, KID, IS",
    "inception/clean": "the published FID Inception with clean-fid's resize: FID/clean",
    "efficientnet-lite0": "ImageNet features whose weights come with pip",
    "dinov2": "DINOv2 ViT-L/14 from a download, or S, B, L from a local file",
    "mnist-classifier": "shipped: a classifier of 28x28 grey digits",
    "fashion-mnist-classifier": "shipped: a classifier of 28x28 grey clothes",
}
"""name -> description; any folder with a classifier's weights is one more."""

_MAKERS = {
    "inception": "inception:inception",
    "inception/clean": "inception:inception_clean",
    "efficientnet-lite0": "efficientnet:efficientnet_lite0",
    "dinov2": "dinov2:dinov2",
}
"""name -> "module of genkit.evaluation:function of an optional weights file"."""

_GREY_28 = (1, 28, 28)
FEATURES_ALONE = {"efficientnet-lite0", "dinov2", POINTS}
"""Extractors that are no classifiers."""


def extractor_for(
    spec: Extractor | nn.Module | str | None,
    name: str = "",
    sample_shape: tuple[int, ...] | None = None,
    weights: str | Path | None = None,
) -> Extractor:
    """The extractor that is asked for, else the one that suits the reference data.

    Args:
        spec: an extractor, any nn.Module of yours (images in [-1, 1], or points, to features (B, d); a genkit
            `Classifier` gives its features and logits), a name in `EXTRACTORS`, a folder or name of weights that hold a
            classifier, or None.
        name, sample_shape: of the reference data. Without a spec, points need no extractor; 28 x 28 grey digits and
            clothes have their classifiers; all else takes efficientnet-lite0.
        weights: a file with the extractor's weights, for `inception`, `efficientnet-lite0` and `dinov2`.

    Raises:
        EvaluationError: no such extractor, or its weights cannot be had.
        WeightsError: damaged weights.
    """
    chosen = default_extractor(name, sample_shape) if spec is None else str(spec) if isinstance(spec, Path) else spec
    check_extractor(chosen, weights)
    if isinstance(chosen, (Extractor, nn.Module)):
        return chosen if isinstance(chosen, Extractor) else _of_module(chosen)
    if chosen == POINTS:
        return Extractor(POINTS, nn.Identity(), sha256_of_state(nn.Identity()), logits=False)
    return _on_device(_named(chosen, weights))


def check_extractor(spec: Extractor | nn.Module | str | Path, weights: str | Path | None = None) -> None:
    """What can be known of an extractor without reading its weights; errors as `extractor_for`."""
    if isinstance(spec, (Extractor, nn.Module)):
        if weights is not None:
            raise EvaluationError(f"a {type(spec).__name__} has its weights already; give it or a file, not both")
    elif str(spec) not in _MAKERS and spec != POINTS:
        if weights is not None:
            raise EvaluationError(
                f"extractor {spec} has its own weights; to use others, name their folder as the extractor"
            )
        if str(spec) not in EXTRACTORS and not Path(spec).exists():
            raise EvaluationError(
                f"no extractor {str(spec)!r}{suggest(spec, EXTRACTORS)}; or give a folder with a classifier"
            )
    if weights is not None and not Path(weights).is_file():
        raise WeightsError(f"{weights} does not exist; give the file with the extractor's weights")


def default_extractor(name: str, sample_shape: tuple[int, ...] | None) -> str:
    """The name of the extractor for data of this name and shape; see `extractor_for`."""
    if sample_shape is not None and len(sample_shape) == 1:
        return POINTS
    family = name.partition("/")[0]
    if sample_shape == _GREY_28 and family in ("mnist", "digits"):
        return "mnist-classifier"
    if sample_shape == _GREY_28 and family == "fashion_mnist":
        return "fashion-mnist-classifier"
    return "efficientnet-lite0"


def shipped(source: str) -> Extractor:
    """A classifier of ours, from shipped weights or any weights folder; other sizes are resized to its own by `clean`.

    Raises:
        EvaluationError: the weights hold no classifier.
        WeightsError: no such weights, or damaged.
    """
    module = Pretrained.from_pretrained(source)
    if not _is_classifier(module):
        raise EvaluationError(f"{source} holds a {type(module).__name__}, which has no features; give a classifier")
    return _of_classifier(module, Path(source).name, sha256_of_weights(source), by_content=True)


class FeaturesAndLogits(nn.Module):
    """A classifier with `features` and a linear `head` after them -> (features, logits), in one pass."""

    def __init__(self, classifier: nn.Module):
        super().__init__()
        self.classifier = classifier

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.classifier.features(x)  # type: ignore[operator]
        return features, self.classifier.head(features)  # type: ignore[operator]


def _named(name: str, weights: str | Path | None) -> Extractor:
    if name in _MAKERS:
        module, _, function = _MAKERS[name].partition(":")
        made: Extractor = getattr(import_module(f"genkit.evaluation.{module}"), function)(weights)
        return made
    return shipped(name)


def _of_module(module: nn.Module) -> Extractor:
    name, digest = type(module).__name__, sha256_of_state(module)
    if _is_classifier(module):
        return _of_classifier(module, name, digest, by_content=False)
    return Extractor(name, module, digest, by_content=False)


def _of_classifier(module: Any, name: str, digest: str, by_content: bool) -> Extractor:
    channels, size, _ = module.sample_shape
    network, names = FeaturesAndLogits(module), _class_names(module)
    return Extractor(
        name, network, digest, channels, size, "clean", by_content=by_content, class_names=names, logits=True
    )


def _is_classifier(module: Any) -> bool:
    return all(hasattr(module, name) for name in ("features", "head", "feature_dim", "classes"))


def _class_names(module: Any) -> tuple[str, ...]:
    return tuple(module.class_names) or tuple(str(i) for i in range(module.classes))


def _on_device(extractor: Extractor) -> Extractor:
    return extractor.to("cuda" if torch.cuda.is_available() else "cpu")
