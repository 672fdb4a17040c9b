"""Convolutional two-level latents, with an autoregressive decoder: the `pixelcnn` of Norouzi et al. 2020.

Chen et al. 2018 (PixelSNAIL), arXiv:1712.09763. Deviation: one masked convolution stands for the authors' pair of
shifted ones, so that their checkpoints do not fit.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from genkit.core.processes import dropout
from genkit.layers.arguments import Channels, Depth, LatentDim, Rate, Width
from genkit.vae.networks.conv_hvae import ConvLatents
from genkit.vae.networks.gated import GatedLinear
from genkit.vae.networks.gated_vae import LOG_SCALES
from genkit.vae.networks.vae_network import Pixels, Size

HEADS = 8
AttendedMaps = Annotated[int, Field(ge=2 * HEADS, le=1024, multiple_of=2 * HEADS)]


def wn_conv(inputs: int, outputs: int, kernel: int = 1) -> nn.Conv2d:
    """A convolution with normalised weights (Salimans & Kingma 2016, arXiv:1602.07868), without padding."""
    return weight_norm(nn.Conv2d(inputs, outputs, kernel))


class CausalConv2d(nn.Module):
    """(B, inputs, H, W) -> (B, outputs, H, W): sees `kernel` rows up to its own, and its own row to the left.

    Args:
        kernel: odd.
        itself: whether an output sees its own pixel; allowed only behind a layer whose outputs do not.
    """

    mask: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, itself: bool = True):
        super().__init__()
        self.reach = kernel // 2
        self.conv = wn_conv(inputs, outputs, kernel)
        mask = torch.ones(kernel, kernel)
        mask[-1, self.reach + itself :] = 0
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (self.reach, self.reach, 2 * self.reach, 0))
        return F.conv2d(x, self.conv.weight * self.mask, self.conv.bias)


class GatedResidual(nn.Module):
    """x + GLU(conv(dropout(ELU(conv(ELU(x)) + 1x1(ELU(beside))))))."""

    def __init__(self, maps: int, hidden: int, dropout: float, kernel: int = 1, beside: int = 0):
        super().__init__()
        self.first, self.second = CausalConv2d(maps, hidden, kernel), CausalConv2d(hidden, 2 * maps, kernel)
        self.beside = wn_conv(beside, hidden) if beside else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, beside: Tensor | None = None) -> Tensor:
        h = self.first(F.elu(x))
        if self.beside is not None and beside is not None:
            h = h + self.beside(F.elu(beside))
        return x + F.glu(self.second(self.dropout(F.elu(h))), dim=1)


class CausalAttention(nn.Module):
    """Every pixel looks at all the pixels before it; the first one, which has none, gets zeros.

    Args:
        queries, keys: channels of the inputs of queries and of keys.
        outputs: channels of the output, a multiple of `heads`.
    """

    def __init__(self, queries: int, keys: int, outputs: int, dropout: float, heads: int = 8):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value = wn_conv(queries, outputs), wn_conv(keys, outputs), wn_conv(keys, outputs)

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        height, width = key.shape[-2:]
        q, k, v = (self._split(layer(x)) for layer, x in ((self.query, query), (self.key, key), (self.value, key)))
        before = torch.ones(height * width, height * width, dtype=torch.bool, device=key.device).tril(-1)
        before[0, 0] = True  # a row without anything to look at would be 0 / 0
        if self.training and self.dropout:
            weights = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~before, -torch.inf).softmax(-1)
            found = dropout(weights, self.dropout) @ v
        else:
            found = F.scaled_dot_product_attention(q, k, v, attn_mask=before)
        found = torch.cat([torch.zeros_like(found[:, :, :1]), found[:, :, 1:]], dim=2)
        return rearrange(found, "b n (h w) c -> b (n c) h w", h=height)

    def _split(self, x: Tensor) -> Tensor:
        return rearrange(x, "b (n c) h w -> b n (h w) c", n=self.heads)


class PixelBlock(nn.Module):
    """Gated residual layers, then attention to all that came before.

    Keys see their own pixel, as in Chen et al. 2018: attention never looks at a pixel's own key.
    """

    def __init__(self, raw: int, maps: int, depth: int, dropout: float):
        super().__init__()
        self.residuals = nn.ModuleList(GatedResidual(maps, maps, dropout, kernel=3) for _ in range(depth))
        self.key = GatedResidual(raw + maps + 2, maps, dropout)
        self.query = GatedResidual(maps + 2, maps, dropout)
        self.attention = CausalAttention(maps + 2, raw + maps + 2, maps // 2, dropout, HEADS)
        self.out = GatedResidual(maps, maps, dropout, beside=maps // 2)

    def forward(self, h: Tensor, raw: Tensor, place: Tensor) -> Tensor:
        """Maps, the image itself, and the positions of its pixels (B, 2, H, W) -> maps."""
        for residual in self.residuals:
            h = residual(h)
        key, query = self.key(torch.cat([raw, h, place], dim=1)), self.query(torch.cat([h, place], dim=1))
        return self.out(h, self.attention(query, key))


class PixelSNAILVAENetwork(ConvLatents):
    """The decoder sees z1 and z2, each spread over the image, and the pixels before the one that it describes.

    Args:
        size, channels: of the images.
        latent_dim: width of z1 and of z2.
        width: units of a hidden layer.
        maps: channels of the convolutions, a multiple of 16.
        depth: residual layers.
        dropout: share of activations set to zero in the decoder.
        scaled: also give the scale of every pixel; grey levels need it.
    """

    autoregressive = True
    place: Tensor

    def __init__(
        self,
        size: Size = 28,
        channels: Channels = 1,
        latent_dim: LatentDim = 40,
        width: Width = 300,
        maps: AttendedMaps = 64,
        depth: Depth = 4,
        dropout: Rate = 0.1,
        scaled: bool = False,
    ):
        super().__init__(size, channels, latent_dim, width, maps, scaled)
        pixels = math.prod(self.sample_shape)
        self.spread1, self.spread2 = GatedLinear(latent_dim, pixels), GatedLinear(latent_dim, pixels)
        self.first = CausalConv2d(3 * channels, maps, itself=False)
        self.block = PixelBlock(3 * channels, maps, depth, dropout)
        self.mean = nn.Conv2d(maps, channels, 1)
        self.log_scale = nn.Conv2d(maps, channels, 1) if scaled else None
        rows, columns = (torch.linspace(-0.5, 0.5, n) for n in self.sample_shape[1:])
        self.register_buffer("place", torch.stack(torch.meshgrid(rows, columns, indexing="ij")), persistent=False)

    def decode(self, h: Any, x: Tensor | None = None) -> Pixels:
        assert x is not None
        z2, z1 = (
            layer(z).unflatten(1, self.sample_shape) for layer, z in zip((self.spread2, self.spread1), h, strict=True)
        )
        raw = torch.cat([x, z1, z2], dim=1)
        h = F.elu(self.block(self.first(raw), raw, self.place.expand(len(x), -1, -1, -1)))
        log_scale = None if self.log_scale is None else self.log_scale(h).clamp(*LOG_SCALES)
        return Pixels.of_logits(self.mean(h), log_scale)
