"""A small image classifier: a judge of samples and, by its features, an extractor for distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch.nn.functional as F
from einops import reduce
from pydantic import Field
from torch import Tensor, nn

from genkit.classifiers.image_classifier import ImageClassifier
from genkit.layers.arguments import Channels, ImageSize, Norm, Width
from genkit.layers.norm import norm_layer


class Classifier(ImageClassifier):
    """Images in [-1, 1], (B, channels, size, size) -> logits (B, classes).

    Four 3x3 convolutions with a norm and ReLU, two max-pools, the mean over pixels, one linear layer; initialised
    Kaiming-normal (fan-out). 28 grey pixels at width 32: 113 k parameters.

    Args:
        size: side length in pixels, for reference: any size of at least 8 gives features of the same width.
        channels: 1 for grey, 3 for colour.
        classes: at least 2.
        width: channels of the first map.
        class_names: one name a class, for tables; empty when they have none.
        norm: "none" and "layer" keep samples apart, so that junk in a batch leaves the others alone.
    """

    def __init__(
        self,
        size: ImageSize = 28,
        channels: Channels = 1,
        classes: Annotated[int, Field(ge=2, le=10_000)] = 10,
        width: Width = 32,
        class_names: Sequence[str] = (),
        norm: Norm = "batch",
    ):
        super().__init__((channels, size, size), classes, 3 * width, class_names)
        self.stages = nn.Sequential(
            ConvNormReLU(channels, width, norm),
            nn.MaxPool2d(2),
            ConvNormReLU(width, 2 * width, norm),
            ConvNormReLU(2 * width, 2 * width, norm),
            nn.MaxPool2d(2),
            ConvNormReLU(2 * width, 3 * width, norm),
        )
        self.head = nn.Linear(self.feature_dim, classes)

    def features(self, x: Tensor) -> Tensor:
        """(B, feature_dim), not negative: the mean over pixels of the last map."""
        return reduce(self.stages(x), "b c h w -> b c", "mean")


class ConvNormReLU(nn.Module):
    def __init__(self, inputs: int, outputs: int, norm: Norm):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=norm == "none")
        self.norm = norm_layer(norm, outputs)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))
