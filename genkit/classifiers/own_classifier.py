"""A classifier that is code of the user's: a file keeps what is known of it, and never what would run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.classifiers.foreign_classifier import ForeignClassifier
from genkit.classifiers.preprocessing import Preprocessing
from genkit.core.errors import WeightsError
from genkit.core.fingerprint import weights_fingerprint
from genkit.core.frozen import freeze
from genkit.layers.arguments import ImageSize


class BoundModule(NamedTuple):
    """A module of the user's in this process, and the fingerprint of its weights."""

    module: nn.Module
    weights: str


_BOUND: dict[str, BoundModule] = {}
"""Source -> the module. Only `bind` adds to it, and only code calls `bind`: no file is asked for a module."""


class OwnClassifier(ForeignClassifier):
    """Images in [-1, 1] -> logits of a module that `bind` has put in its place in this process.

    The module is no part of this one: its weights are neither saved nor loaded, and it is never imported by `source`,
    which is a text for people. Files that were made with it keep its shape, classes and preprocessing.

    Args:
        source: the name by which the module was given, `package.module:factory`.
        size: side length of the images.
        classes: at least 2.
        class_names: one name a class.
        weights: fingerprint of the module's weights; another module of that name is refused. "" takes any.
        preprocessing: of the images.
    """

    def __init__(
        self,
        source: str,
        size: ImageSize,
        classes: Annotated[int, Field(ge=2, le=10_000)],
        class_names: Sequence[str] = (),
        weights: str = "",
        preprocessing: Preprocessing = Preprocessing(),  # noqa: B008 - frozen
    ):
        super().__init__(size, classes, class_names, preprocessing)
        self.source, self.weights = source, weights

    def outputs(self, x: Tensor) -> Any:
        module = bound(self.source, self.weights)
        if self.device != x.device:
            module.to(x.device)
        return module(x)

    @property
    def device(self) -> torch.device:
        """That of the module; the CPU where none is bound or it has no weights."""
        found = _BOUND.get(self.source)
        tensor = next(iter(found.module.state_dict().values()), None) if found else None
        return tensor.device if tensor is not None else torch.device("cpu")


def bind(source: str, module: nn.Module) -> str:
    """Puts a module in the place of every OwnClassifier of that source in this process, frozen; its fingerprint."""
    _BOUND[source] = BoundModule(freeze(module), weights_fingerprint(module))
    return _BOUND[source].weights


def unbind(source: str) -> None:
    """Takes it out again."""
    _BOUND.pop(source, None)


def bound(source: str, weights: str = "") -> nn.Module:
    """The module of a source.

    Raises:
        WeightsError: none is bound, or one of other weights.
    """
    found = _BOUND.get(source)
    if found is None:
        raise WeightsError(
            f"the classifier {source} is code of yours, which no file may import: give it on the command line, "
            f"as in 'genkit explain {source} IMAGES --by RUN', or in Python by genkit.classifiers.own_classifier.bind"
        )
    if weights and weights != found.weights:
        raise WeightsError(
            f"{source} has other weights now than when this was made ({found.weights[:8]} instead of {weights[:8]}); "
            "give the classifier as it was, or train the explanation again"
        )
    return found.module
