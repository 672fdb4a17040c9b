"""A classifier that sees images of another size, brought to its own."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from genkit.classifiers.image_classifier import ImageClassifier
from genkit.layers.arguments import ImageSize


class ResizedClassifier(ImageClassifier):
    """Images in [-1, 1], (B, C, size, size) -> logits (B, classes) of a classifier of images of another size.

    Generators make sides that are powers of two, so a classifier of 28 pixels is explained by images of 32.

    Args:
        classifier: sees the images at its own size, by bilinear interpolation with antialiasing.
        size: side length of the images.
    """

    def __init__(self, classifier: ImageClassifier, size: ImageSize):
        shape = (classifier.sample_shape[0], size, size)
        super().__init__(shape, classifier.classes, classifier.feature_dim, classifier.class_names)
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self._resized(x))
        return logits

    def features(self, x: Tensor) -> Tensor:
        return self.classifier.features(self._resized(x))

    def _resized(self, x: Tensor) -> Tensor:
        return F.interpolate(x, self.classifier.sample_shape[1:], mode="bilinear", antialias=True)
