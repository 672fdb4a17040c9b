"""A network of one's own."""

from __future__ import annotations

from typing import Annotated

import torch
from einops import rearrange
from pydantic import Field
from torch import Tensor, nn

from genkit.gan.networks.latent import LatentNetwork

Count = Annotated[int, Field(ge=1)]


class CoordinateGenerator(LatentNetwork):
    """z (B, latent_dim) -> images (B, channels, size, size) in [-1, 1]: a small network of sines at every pixel.

    Args:
        size: side length in pixels.
        width: of the hidden layers.
        depth: their number.
    """

    places: Tensor

    def __init__(self, latent_dim: Count, size: Count, channels: Count = 1, width: Count = 64, depth: Count = 2):
        super().__init__(latent_dim, (channels, size, size), classes=0)
        side = torch.linspace(-1, 1, size)
        self.register_buffer("places", torch.cartesian_prod(side, side), persistent=False)
        self.of_place, self.of_latent = nn.Linear(2, width), nn.Linear(latent_dim, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.out = nn.Linear(width, channels)

    def decode(self, z: Tensor) -> Tensor:
        h = torch.sin(5 * self.of_place(self.places) + self.of_latent(z)[:, None])
        for layer in self.hidden:
            h = torch.sin(layer(h))
        return rearrange(self.out(h).tanh(), "b (h w) c -> b c h w", h=self.sample_shape[1])
