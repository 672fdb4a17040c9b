"""Training a classifier: the judge of samples and the feature extractor of small grey images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field
from torch import Tensor

from genkit.classifiers.image_classifier import ImageClassifier
from genkit.core.condition import ConditionSpace, check_classified
from genkit.core.pretrained import Pretrained
from genkit.core.system import Data, System, Terms, Turns, Update, descend, observe
from genkit.vae.augment import Augment


class ClassifierTraining(System):
    """Cross-entropy on randomly shifted images, and on images made from them.

    Args:
        classifier: maps images to logits (B, classes).
        shift: images move by up to this many pixels each way, filled with their darkest value.
        label_smoothing: share of the target spread over all classes (Szegedy et al. 2016, arXiv:1512.00567, Sec. 7).
        augment: makes another image of the same class from each one, which share the loss with the real ones.
    """

    learners = {"classifier": ("classifier",)}  # noqa: RUF012 - a ClassVar of the base

    def __init__(
        self,
        classifier: ImageClassifier,
        shift: Annotated[int, Field(ge=0, le=8)] = 2,
        label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        augment: Augment | None = None,
    ):
        super().__init__()
        self.classifier, self.shift, self.label_smoothing = classifier, shift, label_smoothing
        self.augment = augment

    @property
    def products(self) -> Mapping[str, Pretrained]:
        return {"classifier": self.classifier}

    def check_data(self, sample_shape: tuple[int, ...], conditions: ConditionSpace) -> None:
        check_classified(self.classifier, sample_shape, conditions)

    def iteration(self, data: Data, step: int) -> Turns:
        batch = next(data)
        x = self.seen(batch.x, data)
        on = {"x": x, "label": batch.condition["label"], "made": self.augment.made(x, data) if self.augment else None}
        yield Update("classifier", self.loss, on)

    def seen(self, x: Tensor, data: Data) -> Tensor:
        reach = 2 * self.shift + 1
        return shifted(x, data.integers(reach), data.integers(reach), self.shift)

    def exercise(self, product: Pretrained, data: Data) -> None:
        assert isinstance(product, ImageClassifier)
        product(self.seen(next(data).x, data))

    def loss(self, x: Tensor, label: Tensor, made: Tensor | None = None) -> Terms:
        """Smoothed cross-entropy, weighted (1 - share) on x and share on images made from it."""
        logits = self.classifier(x)
        accuracy = (logits.detach().argmax(1) == label).float().mean()
        real = F.cross_entropy(logits, label, label_smoothing=self.label_smoothing)
        if made is None:
            return descend(cross_entropy=real) | observe(accuracy=accuracy)
        assert self.augment is not None
        share = self.augment.share
        on_made = F.cross_entropy(self.classifier(made), label, label_smoothing=self.label_smoothing)
        return descend(cross_entropy=(1 - share) * real, on_made=share * on_made) | observe(accuracy=accuracy)


def shifted(x: Tensor, down: Tensor, right: Tensor, reach: int) -> Tensor:
    """Each image moved by (down - reach, right - reach) pixels; x (B, C, H, W), offsets (B,) in [0, 2 reach]."""
    height, width = x.shape[-2:]
    padded = F.pad(x, [reach] * 4, value=-1.0)
    rows = rearrange(torch.arange(height, device=x.device), "h -> 1 1 h 1") + rearrange(down, "b -> b 1 1 1")
    columns = rearrange(torch.arange(width, device=x.device), "w -> 1 1 1 w") + rearrange(right, "b -> b 1 1 1")
    image = rearrange(torch.arange(len(x), device=x.device), "b -> b 1 1 1")
    channel = rearrange(torch.arange(x.shape[1], device=x.device), "c -> 1 c 1 1")
    return padded[image, channel, rows, columns]
