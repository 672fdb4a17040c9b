"""Convolutional two-level latents, with a convolutional decoder.

The `convhvae_2level` of Tomczak & Welling 2018, arXiv:1705.07120, as Norouzi et al. 2020, arXiv:2004.04795, use it.
"""

from __future__ import annotations

import math
from abc import ABC
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.layers.arguments import Channels, LatentDim, Width
from genkit.vae.networks.gated import GatedConv2d, gated_mlp
from genkit.vae.networks.gated_vae import LOG_SCALES
from genkit.vae.networks.gaussian import Gaussian, GaussianHead
from genkit.vae.networks.vae_network import Pixels, Size, VAENetwork, height_width

Maps = Annotated[int, Field(ge=2, le=1024, multiple_of=2)]
BOTTLENECK = 6
"""Channels of the map that the latents are read from."""


def conv_tower(channels: int, maps: int, kernels: tuple[int, int]) -> nn.Sequential:
    """(B, channels, H, W) -> (B, BOTTLENECK, H / 4, W / 4) rounded up; `kernels` of the first layer of each size."""
    first, second = kernels
    return nn.Sequential(
        GatedConv2d(channels, maps // 2, first),
        GatedConv2d(maps // 2, maps // 2, 3, stride=2),
        GatedConv2d(maps // 2, maps, second),
        GatedConv2d(maps, maps, 3, stride=2),
        GatedConv2d(maps, BOTTLENECK, 3),
        nn.Flatten(),
    )


class ConvLatents(VAENetwork, ABC):
    """q(z2 | x), q(z1 | x, z2) and p(z1 | z2), without a decoder."""

    def __init__(self, size: Size, channels: int, latent_dim: int, width: int, maps: int, scaled: bool):
        super().__init__()
        height, side = height_width(size)
        self.sample_shape, self.scaled = (channels, height, side), scaled
        self.latent_dims = (latent_dim, latent_dim)
        features = BOTTLENECK * math.ceil(height / 4) * math.ceil(side / 4)
        self.encoder2 = conv_tower(channels, maps, (7, 5))
        self.latent2 = GaussianHead(features, latent_dim)
        self.encoder1_x, self.encoder1_z2 = conv_tower(channels, maps, (3, 3)), gated_mlp(latent_dim, features)
        self.encoder1 = gated_mlp(2 * features, width)
        self.latent1 = GaussianHead(width, latent_dim)
        self.prior1 = gated_mlp(latent_dim, width, width)
        self.prior1_head = GaussianHead(width, latent_dim)

    def posterior(self, x: Tensor, *above: Tensor) -> Gaussian:
        if not above:
            return self.latent2(self.encoder2(x))
        return self.latent1(self.encoder1(torch.cat([self.encoder1_x(x), self.encoder1_z2(*above)], dim=1)))

    def prior(self, *above: Tensor) -> Gaussian:
        return self.prior1_head(self.prior1(*above))


class ConvPixelHead(nn.Module):
    """Maps (B, maps, H, W) -> Pixels by 1 x 1 convolutions; means as in the gated multilayer perceptrons."""

    def __init__(self, maps: int, channels: int, scaled: bool):
        super().__init__()
        self.mean = nn.Conv2d(maps, channels, 1)
        self.log_scale = nn.Conv2d(maps, channels, 1) if scaled else None

    def forward(self, h: Tensor) -> Pixels:
        if self.log_scale is None:
            return Pixels(self.mean(h).sigmoid())
        return Pixels(self.mean(h), self.log_scale(h).clamp(*LOG_SCALES))


class ConvHVAENetwork(ConvLatents):
    """The decoder spreads z1 and z2 over the image, then convolves.

    Args:
        size, channels: of the images.
        latent_dim: width of z1 and of z2.
        width: units of a hidden layer.
        maps: channels of the widest convolution.
        scaled: also say the scale of every pixel; grey levels need it.
    """

    def __init__(
        self,
        size: Size = 28,
        channels: Channels = 1,
        latent_dim: LatentDim = 40,
        width: Width = 300,
        maps: Maps = 64,
        scaled: bool = False,
    ):
        super().__init__(size, channels, latent_dim, width, maps, scaled)
        self.decoder_z1, self.decoder_z2 = gated_mlp(latent_dim, width), gated_mlp(latent_dim, width)
        self.spread = gated_mlp(2 * width, math.prod(self.sample_shape))
        widths = (channels, maps, maps, maps, maps)
        self.decoder = nn.Sequential(*(GatedConv2d(a, b, 3) for a, b in pairwise(widths)))
        self.pixels = ConvPixelHead(maps, channels, scaled)

    def decode(self, *latents: Tensor, x: Tensor | None = None) -> Pixels:
        z2, z1 = latents
        h = self.spread(torch.cat([self.decoder_z1(z1), self.decoder_z2(z2)], dim=1))
        return self.pixels(self.decoder(h.unflatten(1, self.sample_shape)))
