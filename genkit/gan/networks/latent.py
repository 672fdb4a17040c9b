"""The contract of the networks of a latent-variable generator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genkit.core.columns.column import Column
from genkit.core.columns.labels import Labels
from genkit.core.errors import RecipeError
from genkit.core.pretrained import Pretrained
from genkit.core.randomness import Randomness
from genkit.core.tree import Tree
from genkit.layers.labels import check_classes, labels


class LatentNetwork(Pretrained, nn.Module, ABC):
    """z (B, latent_dim), and a label where there are classes, -> a sample (B, *sample_shape).

    A label enters as a learned vector beside z (Mirza and Osindero 2014), as wide as there are classes.

    Attributes:
        latent_dim: width of z.
        sample_shape: (C, H, W) for images in [-1, 1], (D,) for points.
        classes: number of classes, 0 when unconditional.
    """

    def __init__(self, latent_dim: int, sample_shape: tuple[int, ...], classes: int):
        super().__init__()
        self.latent_dim, self.sample_shape, self.classes = latent_dim, sample_shape, check_classes(classes)
        self.embedding = nn.Embedding(classes, classes) if classes else None

    @property
    def conditions(self) -> dict[str, Column]:
        """Columns that it takes beside a latent, by name: "label" where there are classes."""
        return {"label": Labels(self.classes)} if self.classes else {}

    @property
    def input_dim(self) -> int:
        """Width of the input of `decode`: z and the label's vector."""
        return self.latent_dim + self.classes

    def latents(self, randomness: Randomness) -> Tree:
        """Input of the network beside a label, one latent a row: z ~ N(0, I)."""
        return randomness.normal(self.latent_dim)

    def forward(self, z: Any, condition: Mapping[str, Tensor] | None = None) -> Tensor:
        """The samples of z, with a graph; condition["label"] is (B,) int64 where there are classes.

        Raises:
            ConditionError: a network with classes and no label.
        """
        if self.embedding is None:
            return self.decode(z)
        return self.decode(torch.cat([z, self.embedding(labels(condition))], dim=1))

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """(B, input_dim) -> (B, *sample_shape)."""


def low_map(layer: nn.Module | None, x: Tensor) -> Tensor:
    """The map that `layer` makes of a small image, to replace the one made from z.

    Raises:
        RecipeError: a network without `low_resolution` has no such layer.
    """
    if layer is None:
        raise RecipeError("this network starts from z only; build it with low_resolution: true")
    made: Tensor = layer(x)
    return made
