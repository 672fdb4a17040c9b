"""Architectures of torchvision, and of timm where it is installed, as classifiers with weights of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.classifiers.foreign_classifier import ForeignClassifier
from genkit.classifiers.preprocessing import Preprocessing
from genkit.core.errors import RecipeError, WeightsError, first_line, suggest
from genkit.core.tensors import load_into
from genkit.layers.arguments import ImageSize

LIBRARIES = ("torchvision", "timm")


class LibraryClassifier(ForeignClassifier):
    """Images in [-1, 1] -> logits of an architecture of a library, with random weights until others are loaded.

    Args:
        architecture: `torchvision:resnet18` or `timm:resnet18`, one that the library lists; nothing is downloaded.
        size: side length of the images.
        classes: at least 2.
        class_names: one name a class.
        single: the network has one output, a logit of the second of two classes.
        preprocessing: of the images.

    Raises:
        RecipeError: no such architecture, a library that is not installed, or a single output of more than 2 classes.
    """

    def __init__(
        self,
        architecture: str,
        size: ImageSize,
        classes: Annotated[int, Field(ge=2, le=10_000)],
        class_names: Sequence[str] = (),
        single: bool = False,
        preprocessing: Preprocessing = Preprocessing(),  # noqa: B008 - frozen
    ):
        super().__init__(size, classes, class_names, preprocessing)
        if single and classes != 2:
            raise RecipeError(f"single: one output tells 2 classes apart, not {classes}")
        self.architecture = architecture
        self.network = network(architecture, 1 if single else classes)

    def outputs(self, x: Tensor) -> Any:
        return self.network(x)


def is_architecture(name: str) -> bool:
    return name.partition(":")[0] in LIBRARIES and ":" in name


def network(architecture: str, outputs: int) -> nn.Module:
    """An architecture with random weights.

    Raises:
        RecipeError: as of LibraryClassifier.
    """
    check_architecture(architecture)
    library, _, name = architecture.partition(":")
    module: nn.Module = _library(library)[1](name, outputs)
    return module


def check_architecture(architecture: str) -> None:
    """Raises RecipeError where the library has none of this name, or is not installed."""
    library, _, name = architecture.partition(":")
    known, _ = _library(library)
    if not name:
        raise RecipeError(f"architecture: {library}: is followed by a name, as in {library}:resnet18")
    if name not in known:
        raise RecipeError(f"architecture: {library} has no {name!r:.60}{suggest(name, known)}")


def _library(library: str) -> tuple[list[str], Any]:
    """The names of its classifiers, and the function that makes one."""
    if library == "torchvision":
        from torchvision import models

        return models.list_models(module=models), lambda name, k: models.get_model(name, weights=None, num_classes=k)
    if library != "timm":
        raise RecipeError(
            f"architecture: written as torchvision:resnet18 or timm:resnet18, got library {library!r:.60}"
        )
    try:
        import timm
    except ImportError as missing:
        raise RecipeError("architecture: timm is not installed: pip install timm") from missing
    return timm.list_models(), lambda name, k: timm.create_model(name, pretrained=False, num_classes=k)


def outputs_in(architecture: str, state: Mapping[str, Tensor]) -> int:
    """The number of outputs of the architecture whose weights are `state`.

    Raises:
        RecipeError: as of LibraryClassifier.
        WeightsError: the weights are of another architecture.
    """
    with torch.device("meta"):
        few, more = (network(architecture, k).state_dict() for k in (2, 3))
    heads = [name for name, tensor in few.items() if tensor.shape != more[name].shape]
    found = {state[name].shape[0] for name in heads if name in state and state[name].dim()}
    if len(found) != 1:
        raise WeightsError(f"these weights are not of {architecture}: {', '.join(heads)} missing or of several widths")
    return int(found.pop())


def load_weights(classifier: LibraryClassifier, state: Mapping[str, Tensor], where: str) -> None:
    """Raises WeightsError for weights that do not fit the architecture, or are not finite."""
    try:
        load_into(classifier.network, state)
    except ValueError as misfit:
        raise WeightsError(f"{where} does not fit the architecture: {first_line(misfit)}") from misfit
