"""A fully connected classifier, for which the order of pixels does not matter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from genkit.classifiers.image_classifier import ImageClassifier
from genkit.images.pixels import to_unit
from genkit.layers.arguments import Channels, Depth, ImageSize


class MLPClassifier(ImageClassifier):
    """Images -> hidden layers with ReLU -> logits; the order of pixels does not matter ("permutation-invariant MNIST").

    Weights start as PyTorch's linear layers do.

    Args:
        size: side length in pixels.
        channels: 1 for grey, 3 for colour.
        classes: at least 2.
        width: units of a hidden layer.
        depth: number of hidden layers.
        class_names: one name a class, for tables; empty when they have none.
    """

    def __init__(
        self,
        size: ImageSize = 28,
        channels: Channels = 1,
        classes: Annotated[int, Field(ge=2, le=10_000)] = 10,
        width: Annotated[int, Field(ge=1, le=16384)] = 1024,
        depth: Depth = 2,
        class_names: Sequence[str] = (),
    ):
        super().__init__((channels, size, size), classes, width, class_names)
        widths = [math.prod(self.sample_shape)] + [width] * depth
        layers = (layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU()))
        self.hidden = nn.Sequential(nn.Flatten(), *layers)
        self.head = nn.Linear(width, classes)

    def features(self, x: Tensor) -> Tensor:
        return self.hidden(to_unit(x))
