"""Distances of two images that are not of single pixels, for the perceptual term."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genkit.core.errors import RecipeError, suggest
from genkit.core.frozen import freeze
from genkit.gan.layer_outputs import check_layers, layer_outputs


def mean_distance(a: Tensor, b: Tensor) -> Tensor:
    """mean |a - b|: of images L_x, of vectors w L_w. A scalar."""
    return (a - b).abs().mean()


class Likeness(nn.Module, ABC):
    """Images in [-1, 1], twice (B, C, H, W) -> their distance, a scalar with a graph: the mean over the batch."""

    def check(self, sample_shape: tuple[int, ...]) -> None:
        """Raises RecipeError where it does not take images of this shape, (C, H, W)."""

    @abstractmethod
    def forward(self, a: Tensor, b: Tensor) -> Tensor: ...


class MultiScale(Likeness):
    """The mean over `scales` of mean |a - b| of the images at 1/2, 1/4, ... of their size.

    Args:
        scales: how many.
    """

    def __init__(self, scales: Annotated[int, Field(ge=1, le=6)] = 2):
        super().__init__()
        self.scales = scales

    def check(self, sample_shape: tuple[int, ...]) -> None:
        if sample_shape[-1] % 2**self.scales:
            raise RecipeError(f"scales: {sample_shape[-1]} pixels are not halved {self.scales} times; lower it")

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        smaller = (2**k for k in range(1, self.scales + 1))
        return torch.stack([mean_distance(F.avg_pool2d(a, s), F.avg_pool2d(b, s)) for s in smaller]).mean()


class LayerFeatures(Likeness):
    """The sum over `layers` of a finished network of the distances of their outputs, see `feature_distance`.

    Args:
        network: any that takes the images, such as a classifier.
        layers: modules of it, by their dotted names, that give maps (B, F, H, W) or vectors (B, F).

    Raises:
        RecipeError: no layers, or one that it has not.
    """

    def __init__(self, network: nn.Module, layers: Sequence[str]):
        super().__init__()
        check_layers(network, layers, "layers")
        if not layers:
            raise RecipeError(f"layers: name one at least{suggest('', [n for n, _ in network.named_modules() if n])}")
        self.network, self.layers = freeze(network), tuple(layers)

    def check(self, sample_shape: tuple[int, ...]) -> None:
        taken = list(getattr(self.network, "sample_shape", sample_shape))
        if taken != list(sample_shape):
            raise RecipeError(f"likeness.network: it takes {taken}, but the generator makes {list(sample_shape)}")

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        of_a, of_b = (layer_outputs(self.network, self.layers, x) for x in (a, b))
        return torch.stack([feature_distance(p, q) for p, q in zip(of_a, of_b, strict=True)]).sum()


def feature_distance(a: Tensor, b: Tensor, weight: Tensor | None = None) -> Tensor:
    """Squared distance of features scaled to unit length at every place, a scalar: Zhang et al. 2018, Eq. (1).

    Args:
        a, b: (B, F, H, W), or (B, F).
        weight: (F,), of each channel's square; None is one each.
    """
    squares = (_unit(a) - _unit(b)).square()
    if weight is not None:
        squares = squares * weight.view(-1, *[1] * (a.dim() - 2))
    return squares.sum(1).mean()


def _unit(x: Tensor) -> Tensor:
    """x over its length along the channels; 0, and with gradients that are numbers, where it is 0."""
    return x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + 1e-10)
