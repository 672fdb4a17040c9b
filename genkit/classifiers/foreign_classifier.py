"""The base of classifiers that were not made here: preparation of the images before, logits of two or more after."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genkit.classifiers.image_classifier import ImageClassifier
from genkit.classifiers.preprocessing import Preprocessing
from genkit.core.errors import WeightsError, kind_of


class ForeignClassifier(ImageClassifier):
    """Images in [-1, 1], (B, C, size, size) -> logits (B, classes) of a network that takes other images.

    Args:
        size: side length of the images, which may differ from what the network takes.
        classes: 2 where the network has a single output; see `logits_of`.
        class_names: one name a class.
        preprocessing: of the images before the network.
    """

    def __init__(self, size: int, classes: int, class_names: Sequence[str], preprocessing: Preprocessing):
        super().__init__((preprocessing.channels, size, size), classes, classes, class_names)
        self.preprocessing = preprocessing

    @abstractmethod
    def outputs(self, x: Tensor) -> Any:
        """Of the network, for images that it takes."""

    def forward(self, x: Tensor) -> Tensor:
        return logits_of(self.outputs(self.preprocessing(x)))

    def features(self, x: Tensor) -> Tensor:
        """(B, classes): the logits, since nothing else is known of the network."""
        return self(x)


def logits_of(output: Any) -> Tensor:
    """The output of a network -> logits (B, K), K of at least 2.

    A single output z is a logit of the second class against the first: (-z/2, z/2), so that softmax gives sigmoid(z)
    and both classes move alike. An output object with `logits` is taken by these.

    Raises:
        WeightsError: another output.
    """
    found = getattr(output, "logits", output)
    if not isinstance(found, Tensor):
        raise WeightsError(f"the classifier gives {kind_of(found)}; logits are needed, a tensor (B, classes)")
    if not found.is_floating_point():
        raise WeightsError(
            "the classifier gives whole numbers; logits are needed: leave its last argmax or rounding out"
        )
    logits = found[:, None] if found.dim() == 1 else found
    if logits.dim() > 2 and logits[0].numel() == logits.shape[1]:
        logits = logits.flatten(1)
    if logits.dim() != 2:
        raise WeightsError(f"the classifier gives a tensor {tuple(found.shape)}; logits are needed, (B, classes)")
    return torch.cat([-logits / 2, logits / 2], 1) if logits.shape[1] == 1 else logits
