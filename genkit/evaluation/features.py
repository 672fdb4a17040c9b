"""Extractors by name, and which one suits which data."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genkit.errors import EvaluationError, shown, suggest
from genkit.evaluation.extractor import Extractor, sha256_of_state
from genkit.files import sha256_of_file
from genkit.pretrained import WEIGHTS, Pretrained, locate

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

POINTS = "points"
_GREY_28 = (1, 28, 28)


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
    if isinstance(spec, (Extractor, nn.Module)):
        if weights is not None:
            raise EvaluationError(f"a {type(spec).__name__} has its weights already; give it or a file, not both")
        return spec if isinstance(spec, Extractor) else _of_module(spec)
    chosen = default_extractor(name, sample_shape) if spec is None else str(spec)
    if chosen == POINTS:
        return Extractor(POINTS, nn.Identity(), sha256_of_state(nn.Identity()))
    return _on_device(_named(chosen, weights))


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
    return _of_classifier(module, Path(source).name, sha256_of_file(locate(source) / WEIGHTS), by_content=True)


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
    if weights is not None:
        raise EvaluationError(
            f"extractor {name} has its own weights; to use others, name their folder as the extractor"
        )
    if name in EXTRACTORS or Path(name).exists():
        return shipped(name)
    raise EvaluationError(f"no extractor {shown(name)}{suggest(name, EXTRACTORS)}; or give a folder with a classifier")


def _of_module(module: nn.Module) -> Extractor:
    name, digest = type(module).__name__, sha256_of_state(module)
    if _is_classifier(module):
        return _of_classifier(module, name, digest, by_content=False)
    return Extractor(name, module, digest, by_content=False)


def _of_classifier(module: Any, name: str, digest: str, by_content: bool) -> Extractor:
    channels, size, _ = module.sample_shape
    network, names = FeaturesAndLogits(module), _class_names(module)
    return Extractor(name, network, digest, channels, size, "clean", by_content=by_content, class_names=names)


def _is_classifier(module: Any) -> bool:
    return all(hasattr(module, name) for name in ("features", "head", "feature_dim", "classes"))


def _class_names(module: Any) -> tuple[str, ...]:
    return tuple(module.class_names) or tuple(str(i) for i in range(module.classes))


def _on_device(extractor: Extractor) -> Extractor:
    return extractor.to("cuda" if torch.cuda.is_available() else "cpu")
