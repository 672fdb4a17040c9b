"""Gated multilayer perceptrons with one and two levels of latents.

Tomczak & Welling 2018, arXiv:1705.07120, as Norouzi et al. 2020, arXiv:2004.04795, use them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from genkit.layers.arguments import Channels, LatentDim, Width
from genkit.vae.networks.gated import gated_mlp, he_linear
from genkit.vae.networks.gaussian import Gaussian, GaussianHead
from genkit.vae.networks.vae_network import Pixels, Size, VAENetwork, height_width

LOG_SCALES = (-4.5, 0.0)
"""Range of the logarithm of a pixel's scale."""


class PixelHead(nn.Module):
    """(B, inputs) -> Pixels: means through a sigmoid, or, with a scale for each, as they are."""

    def __init__(self, inputs: int, shape: tuple[int, int, int], scaled: bool):
        super().__init__()
        self.shape = shape
        self.mean = he_linear(inputs, math.prod(shape))
        self.log_scale = he_linear(inputs, math.prod(shape)) if scaled else None

    def forward(self, h: Tensor) -> Pixels:
        mean = self.mean(h).unflatten(1, self.shape)
        if self.log_scale is None:
            return Pixels(mean.sigmoid())
        return Pixels(mean, self.log_scale(h).clamp(*LOG_SCALES).unflatten(1, self.shape))


class GatedVAENetwork(VAENetwork):
    """x -> GD -> GD -> z -> GD -> GD -> x, GD a gated layer of `width`.

    Args:
        size, channels: of the images.
        latent_dim: width of z.
        width: units of a hidden layer.
        scaled: also say a scale, one learned number for all pixels; grey levels need it.
    """

    def __init__(
        self,
        size: Size = 28,
        channels: Channels = 1,
        latent_dim: LatentDim = 40,
        width: Width = 300,
        scaled: bool = False,
    ):
        super().__init__()
        self.sample_shape, self.latent_dims, self.scaled = (channels, *height_width(size)), (latent_dim,), scaled
        self.encoder = gated_mlp(math.prod(self.sample_shape), width, width)
        self.latent = GaussianHead(width, latent_dim)
        self.decoder = gated_mlp(latent_dim, width, width)
        self.mean = he_linear(width, math.prod(self.sample_shape))
        self.log_scale = nn.Parameter(torch.zeros(1)) if scaled else None

    def posterior(self, x: Tensor, *above: Tensor) -> Gaussian:
        return self.latent(self.encoder(x.flatten(1)))

    def decode(self, *latents: Tensor, x: Tensor | None = None) -> Pixels:
        mean = self.mean(self.decoder(*latents)).unflatten(1, self.sample_shape)
        if self.log_scale is None:
            return Pixels(mean.sigmoid())
        return Pixels(mean, self.log_scale.expand(mean.shape))


class GatedHVAENetwork(VAENetwork):
    """Two levels: z2 above z1, both of which the decoder sees.

    Args:
        size, channels: of the images.
        latent_dim: width of z1 and of z2.
        width: units of a hidden layer.
        scaled: also say the scale of every pixel; grey levels need it.
    """

    def __init__(
        self,
        size: Size = 28,
        channels: Channels = 1,
        latent_dim: LatentDim = 40,
        width: Width = 300,
        scaled: bool = False,
    ):
        super().__init__()
        self.sample_shape, self.scaled = (channels, *height_width(size)), scaled
        self.latent_dims = (latent_dim, latent_dim)
        pixels = math.prod(self.sample_shape)
        self.encoder2 = gated_mlp(pixels, width, width)
        self.latent2 = GaussianHead(width, latent_dim)
        self.encoder1_x, self.encoder1_z2 = gated_mlp(pixels, width), gated_mlp(latent_dim, width)
        self.encoder1 = gated_mlp(2 * width, width)
        self.latent1 = GaussianHead(width, latent_dim)
        self.prior1 = gated_mlp(latent_dim, width, width)
        self.prior1_head = GaussianHead(width, latent_dim)
        self.decoder_z1, self.decoder_z2 = gated_mlp(latent_dim, width), gated_mlp(latent_dim, width)
        self.decoder = gated_mlp(2 * width, width)
        self.pixels = PixelHead(width, self.sample_shape, scaled)

    def posterior(self, x: Tensor, *above: Tensor) -> Gaussian:
        x = x.flatten(1)
        if not above:
            return self.latent2(self.encoder2(x))
        return self.latent1(self.encoder1(torch.cat([self.encoder1_x(x), self.encoder1_z2(*above)], dim=1)))

    def prior(self, *above: Tensor) -> Gaussian:
        return self.prior1_head(self.prior1(*above))

    def decode(self, *latents: Tensor, x: Tensor | None = None) -> Pixels:
        z2, z1 = latents
        return self.pixels(self.decoder(torch.cat([self.decoder_z1(z1), self.decoder_z2(z2)], dim=1)))
