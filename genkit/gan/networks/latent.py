"""The contract of the networks of a latent-variable generator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from genkit.core.columns.column import Column
from genkit.core.columns.labels import Labels
from genkit.core.errors import RecipeError
from genkit.core.pretrained import Pretrained
from genkit.core.randomness import Randomness
from genkit.core.tree import Tree
from genkit.layers.arguments import check_classes, labels


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


class GrownFromMap(LatentNetwork):
    """Images grown from a small map: one that a linear `stem` makes of z, or one made of a small image.

    Attributes:
        base: side length of the map.
        from_low: makes it of images (B, C, base, base), for `super_resolution`; None where the network was not built
            with `low_resolution`.
    """

    base: int
    stem: nn.Linear
    from_low: nn.Module | None

    @property
    def low_size(self) -> int | None:
        """Side length in pixels of the images of `from_low_res`; None where it takes none."""
        return None if self.from_low is None else self.base

    def decode(self, z: Tensor) -> Tensor:
        return self.grown(rearrange(self.stem(z), "b (c h w) -> b c h w", h=self.base, w=self.base))

    def from_low_res(self, x: Tensor) -> Tensor:
        """Images (B, C, low_size, low_size) -> (B, *sample_shape): these replace the map made from z; no label.

        Raises:
            RecipeError: a network without `low_resolution`.
        """
        if self.from_low is None:
            raise RecipeError("this network starts from z only; build it with low_resolution: true")
        return self.grown(self.from_low(x))

    @abstractmethod
    def grown(self, h: Tensor) -> Tensor:
        """The small map, (B, C, base, base) -> (B, *sample_shape)."""
