"""The mapping network z -> w. Karras et al. 2019, arXiv:1812.04948; with labels as Karras et al. 2020b has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genkit.core.precision import full_precision
from genkit.gan.stylegan2.equalised import EqualisedLinear, dense
from genkit.layers.arguments import labels

LrMultiplier = Annotated[float, Field(gt=0, le=1)]
LR_MULTIPLIER = 0.01
"""Learning-rate multiplier of the mapping's layers, unless said otherwise."""


def unit_scale(x: Tensor) -> Tensor:
    """x (B, D) / sqrt(mean of x^2 + 1e-8)."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class MappingNetwork(nn.Module):
    """z (B, latent_dim), and a label where there are classes, -> w (B, style_dim): each layer ends in leaky ReLU.

    A label enters as a vector of style_dim numbers beside z, both scaled to a mean square of one. Without a latent
    (latent_dim 0) it is a function of the label alone, as critics have one.
    """

    def __init__(self, latent_dim: int, style_dim: int, depth: int, classes: int, lr_multiplier: float = LR_MULTIPLIER):
        super().__init__()
        self.classes = classes
        self.embedding = EqualisedLinear(classes, style_dim) if classes else None
        inputs = latent_dim + (style_dim if classes else 0)
        self.layers = dense([inputs, *[style_dim] * depth], lr_multiplier)

    def forward(self, z: Tensor | None, condition: Mapping[str, Tensor] | None = None) -> Tensor:
        """w, float32 in mixed precision too.

        Raises:
            ConditionError: there are classes and no label.
        """
        with full_precision(next(self.parameters())):
            return self._mapped(z, condition)

    def _mapped(self, z: Tensor | None, condition: Mapping[str, Tensor] | None) -> Tensor:
        parts = [] if z is None else [unit_scale(z)]
        if self.embedding is not None:
            one_hot = F.one_hot(labels(condition), self.classes).to(self.embedding.weight.dtype)
            parts.append(unit_scale(self.embedding(one_hot)))
        w: Tensor = self.layers(torch.cat(parts, 1))
        return w
