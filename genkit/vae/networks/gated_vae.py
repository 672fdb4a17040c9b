"""Gated multilayer perceptrons with one and two levels of latents.

Tomczak & Welling 2018, arXiv:1705.07120, as Norouzi et al. 2020, arXiv:2004.04795, use them.
"""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from genkit.core import tree
from genkit.layers.arguments import Channels, LatentDim, Width
from genkit.vae.networks.gated import GatedMLP, he_linear
from genkit.vae.networks.gaussian import Gaussian, GaussianHead
from genkit.vae.networks.vae_network import Level, Levels, Pixels, Seen, Size, VAENetwork, height_width

LOG_SCALES = (-4.5, 0.0)
"""Range of the logarithm of a pixel's scale."""


class PixelHead(nn.Module):
    """Pixels from features h: means through a sigmoid, or means without one and a scale for each.

    Args:
        layer: makes the layer of the means, and that of the scales.
    """

    def __init__(self, layer: Callable[[], nn.Module], scaled: bool):
        super().__init__()
        self.mean = layer()
        self.log_scale = layer() if scaled else None

    def forward(self, h: Tensor) -> Pixels:
        if self.log_scale is None:
            return Pixels.of_logits(self.mean(h))
        return Pixels(self.mean(h), self.log_scale(h).clamp(*LOG_SCALES))


class GatedVAENetwork(VAENetwork):
    """x -> GD -> GD -> z -> GD -> GD -> x, GD a gated layer of `width`.

    Args:
        size, channels: of the images.
        latent_dim: width of z.
        width: units of a hidden layer.
        scaled: also give a scale, one learned number for all pixels; grey levels need it.
        bounded: means through a sigmoid beside a scale too. Without, those of latents that no image has may lie far
            outside [0, 1], where the cut to the range leaves no gradient.
    """

    def __init__(
        self,
        size: Size = 28,
        channels: Channels = 1,
        latent_dim: LatentDim = 40,
        width: Width = 300,
        scaled: bool = False,
        bounded: bool = False,
    ):
        super().__init__()
        self.sample_shape, self.latent_dims, self.scaled = (channels, *height_width(size)), (latent_dim,), scaled
        self.bounded = bounded or not scaled
        self.encoder = GatedMLP(math.prod(self.sample_shape), width, width)
        self.latent = GaussianHead(width, latent_dim)
        self.decoder = GatedMLP(latent_dim, width, width)
        self.mean = he_linear(width, math.prod(self.sample_shape))
        self.log_scale = nn.Parameter(torch.zeros(1)) if scaled else None

    def posterior(self, x: Tensor) -> Gaussian:
        return self.latent(self.encoder(x))

    def levels(self, seen: Seen | None = None) -> Levels:
        return (yield Level(None, seen[0] if seen else None))

    def decode(self, h: Any, x: Tensor | None = None) -> Pixels:
        mean = self.mean(self.decoder(h)).unflatten(1, self.sample_shape)
        scale = None if self.log_scale is None else self.log_scale.expand(mean.shape)
        return Pixels.of_logits(mean, scale) if self.bounded else Pixels(mean, scale)


Encoders = tuple[Callable[[], nn.Module], Callable[[], nn.Module]]
"""Make the encoder of z2 and that of z1: images (B, C, H, W) -> features (B, F)."""


class TwoLevels(VAENetwork, ABC):
    """q(z2 | x), q(z1 | x, z2) and p(z1 | z2), without a decoder, which takes (z2, z1).

    Args:
        features: width F of an encoder's output.
    """

    def __init__(
        self, size: Size, channels: int, latent_dim: int, width: int, scaled: bool, features: int, encoders: Encoders
    ):
        super().__init__()
        self.sample_shape, self.scaled = (channels, *height_width(size)), scaled
        self.latent_dims = (latent_dim, latent_dim)
        self.encoder2 = encoders[0]()
        self.latent2 = GaussianHead(features, latent_dim)
        self.encoder1_x, self.encoder1_z2 = encoders[1](), GatedMLP(latent_dim, features)
        self.encoder1 = GatedMLP(2 * features, width)
        self.latent1 = GaussianHead(width, latent_dim)
        self.prior1 = GatedMLP(latent_dim, width, width)
        self.prior1_head = GaussianHead(width, latent_dim)

    def posterior(self, x: Tensor) -> Gaussian:
        return self.latent2(self.encoder2(x))

    def bottom_up(self, x: Tensor) -> Seen:
        return self.posterior(x), self.encoder1_x(x)

    def levels(self, seen: Seen | None = None) -> Levels:
        z2 = yield Level(None, seen[0] if seen else None)
        q1 = self.latent1(self.encoder1(torch.cat([seen[1], self.encoder1_z2(z2)], dim=1))) if seen else None
        z1 = yield Level(self.prior1_head(self.prior1(z2)), q1)
        return z2, z1


class GatedHVAENetwork(TwoLevels):
    """Two levels: z2 above z1, both of which the decoder sees.

    Args:
        size, channels: of the images.
        latent_dim: width of z1 and of z2.
        width: units of a hidden layer.
        scaled: also give the scale of every pixel; grey levels need it.
    """

    def __init__(
        self,
        size: Size = 28,
        channels: Channels = 1,
        latent_dim: LatentDim = 40,
        width: Width = 300,
        scaled: bool = False,
    ):
        pixels = channels * math.prod(height_width(size))
        encoders = partial(GatedMLP, pixels, width, width), partial(GatedMLP, pixels, width)
        super().__init__(size, channels, latent_dim, width, scaled, width, encoders)
        self.decoder_z1, self.decoder_z2 = GatedMLP(latent_dim, width), GatedMLP(latent_dim, width)
        self.decoder = GatedMLP(2 * width, width)
        self.pixels = PixelHead(partial(he_linear, width, pixels), scaled)

    def decode(self, h: Any, x: Tensor | None = None) -> Pixels:
        z2, z1 = h
        pixels = self.pixels(self.decoder(torch.cat([self.decoder_z1(z1), self.decoder_z2(z2)], dim=1)))
        return tree.map(lambda values: values.unflatten(1, self.sample_shape), pixels)
