"""Layers that see the pixels before their own in raster order. Chen et al. 2018, arXiv:1712.09763."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from genkit.core.processes import dropout


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
