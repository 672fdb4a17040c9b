"""Convolutional two-level latents, with a convolutional decoder.

The `convhvae_2level` of Tomczak & Welling 2018, arXiv:1705.07120, as Norouzi et al. 2020, arXiv:2004.04795, use it.
"""

from __future__ import annotations

import math
from abc import ABC
from functools import partial
from itertools import pairwise
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.layers.arguments import Channels, LatentDim, Width
from genkit.vae.networks.gated import GatedConv2d, GatedMLP
from genkit.vae.networks.gated_vae import PixelHead, TwoLevels
from genkit.vae.networks.vae_network import Pixels, Size, height_width

FeatureMaps = Annotated[int, Field(ge=2, le=1024, multiple_of=2)]
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


class ConvLatents(TwoLevels, ABC):
    """Two levels with convolutional encoders, without a decoder."""

    def __init__(self, size: Size, channels: int, latent_dim: int, width: int, maps: int, scaled: bool):
        features = BOTTLENECK * math.prod(math.ceil(side / 4) for side in height_width(size))
        encoders = partial(conv_tower, channels, maps, (7, 5)), partial(conv_tower, channels, maps, (3, 3))
        super().__init__(size, channels, latent_dim, width, scaled, features, encoders)


class ConvHVAENetwork(ConvLatents):
    """The decoder spreads z1 and z2 over the image, then convolves.

    Args:
        size, channels: of the images.
        latent_dim: width of z1 and of z2.
        width: units of a hidden layer.
        maps: channels of the widest convolution.
        scaled: also give the scale of every pixel; grey levels need it.
    """

    def __init__(
        self,
        size: Size = 28,
        channels: Channels = 1,
        latent_dim: LatentDim = 40,
        width: Width = 300,
        maps: FeatureMaps = 64,
        scaled: bool = False,
    ):
        super().__init__(size, channels, latent_dim, width, maps, scaled)
        self.decoder_z1, self.decoder_z2 = GatedMLP(latent_dim, width), GatedMLP(latent_dim, width)
        self.spread = GatedMLP(2 * width, math.prod(self.sample_shape))
        widths = (channels, maps, maps, maps, maps)
        self.decoder = nn.Sequential(*(GatedConv2d(a, b, 3) for a, b in pairwise(widths)))
        self.pixels = PixelHead(partial(nn.Conv2d, maps, channels, 1), scaled)

    def decode(self, h: Any, x: Tensor | None = None) -> Pixels:
        z2, z1 = h
        h = self.spread(torch.cat([self.decoder_z1(z1), self.decoder_z2(z2)], dim=1))
        return self.pixels(self.decoder(h.unflatten(1, self.sample_shape)))
