"""The truncation trick in W: images closer to the average one. Karras et al. 2019, arXiv:1812.04948, App. B."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from genkit.core.condition import Condition
from genkit.core.errors import GenkitError, shown, suggest
from genkit.core.generator import LatentGenerator
from genkit.core.precision import full
from genkit.core.randomness import Randomness
from genkit.core.styled import MovedStyles, Styled, joined, named_slices, noise_of
from genkit.core.tree import Tree
from genkit.gan.gan import GAN

Psi = Annotated[float, Field(ge=-2, le=2)]


def truncated(w: Tensor, w_avg: Tensor, psi: float | Tensor, layers: int | None = None) -> Tensor:
    """W+ (B, depth, style_dim) with its first `layers` vectors, or all, at w_avg + psi (w - w_avg); psi: of each of the
    style_dim numbers, or of all."""
    found = w.clone()
    found[:, :layers] = w_avg.lerp(w[:, :layers], psi)
    return found


def psi_of(psi: float | Mapping[str, float], network: Any) -> float | Tensor:
    """Of all numbers of w, or of each, (style_dim,), where slices are named; 1 for the others.

    Raises:
        GenkitError: the network has no slice of a name, or no finite number.
    """
    if not isinstance(psi, Mapping):
        return _number("psi", psi)
    slices, of_each = named_slices(network), torch.ones_like(network.w_avg)
    for name, value in psi.items():
        if name not in slices:
            raise GenkitError(f"psi: no slice {shown(name)} of w{suggest(name, slices)}")
        of_each[slices[name]] = _number(f"psi of {name}", value)
    return of_each


def _number(name: str, psi: Any) -> float:
    if not isinstance(psi, (int, float)) or not math.isfinite(psi):
        raise GenkitError(f"{name}: a finite number, 1 for no truncation; got {shown(psi)}")
    return psi


class Truncated(LatentGenerator):
    """A GAN with styles whose w is drawn towards the mean of w: less variety, better images.

    Args:
        generator: a GAN over a network with styles.
        psi: 1 changes nothing, 0 gives the average image (but for noise). Of a network with slices, also one for each
            that is named, 1 for the others.
        layers: number of vectors of W+, from the smallest map up; None takes all.

    Raises:
        GenkitError: the network has no styles, no slice of a name, or fewer vectors of W+ than `layers`.
    """

    def __init__(
        self,
        generator: GAN,
        psi: Psi | dict[str, Psi] = 0.7,
        layers: Annotated[int, Field(ge=1, le=18)] | None = None,
    ):
        super().__init__()
        if not isinstance(generator.network, Styled):
            raise GenkitError(f"truncation is of w, and {type(generator.network).__name__} has none; give a StyleGAN2")
        depth = 1 + max(generator.network.style_layers.values())
        if layers is not None and layers > depth:
            raise GenkitError(f"layers: W+ of this network has {depth} vectors, got {layers}; leave it out for all")
        self.generator, self.psi, self.layers = generator, psi, layers
        self.sample_shape, self.conditions, self.made = generator.sample_shape, generator.conditions, generator.made
        psi_of(psi, generator.network)

    def condition_of(self, x: Tensor) -> Condition:
        return self.generator.condition_of(x)

    @property
    def standard_normal(self) -> bool:
        return self.generator.standard_normal

    def latents(self, randomness: Randomness) -> Tree:
        return self.generator.latents(randomness)

    def forward(self, z: Any, condition: Condition | None = None) -> Tensor:
        w = self.moved_styles(z, condition or {}).w
        images: Tensor = self.network.synthesise(joined(self.network, w, condition), noise_of(z))
        return full(images)

    @property
    def network(self) -> Any:
        """Of the generator, with styles."""
        return self.generator.network

    def moved_styles(self, z: Any, condition: Condition) -> MovedStyles:
        w = self.network.to_w(z, condition)
        return MovedStyles(truncated(w, self.network.w_avg, psi_of(self.psi, self.network), self.layers), {})
