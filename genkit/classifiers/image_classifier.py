"""The base of all classifiers of images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genkit.core.errors import RecipeError
from genkit.core.pretrained import Pretrained


class ImageClassifier(Pretrained, nn.Module, ABC):
    """Images in [-1, 1], (B, C, H, W) -> logits (B, classes): a linear `head`, which a subclass makes, over `features`.

    Args:
        sample_shape: (C, H, W).
        classes: at least 2.
        feature_dim: width of the features.
        class_names: one name a class, for tables; empty when they have none.

    Raises:
        RecipeError: another number of names than classes.
    """

    head: nn.Linear
    judged_by = "genkit.evaluation.judges:ByAccuracy"

    def __init__(
        self, sample_shape: tuple[int, int, int], classes: int, feature_dim: int, class_names: Sequence[str] = ()
    ):
        super().__init__()
        if class_names and len(class_names) != classes:
            raise RecipeError(f"class_names: {classes} classes need {classes} names, got {len(class_names)}")
        self.sample_shape, self.classes = sample_shape, classes
        self.class_names, self.feature_dim = tuple(class_names), feature_dim

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """(B, feature_dim)."""

    @torch.no_grad()
    def right(self, x: Tensor, label: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """See genkit.evaluation.classification."""
        return {"accuracy": self(x).argmax(1) == label}
