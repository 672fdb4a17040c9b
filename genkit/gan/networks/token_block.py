"""Attention over a square of tokens in raster order, transformer blocks, and stages of blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genkit.core.errors import RecipeError
from genkit.core.processes import network_normal
from genkit.gan.networks.token_norm import TokenNorm, token_norm

Activation = Literal["gelu", "leaky_relu"]


def band(tokens: int, reach: int, device: torch.device | None = None) -> Tensor:
    """(tokens, tokens) bool, True where |i - j| <= reach in raster order: the locality mask of TransGAN's code.

    One-dimensional: it lets a pixel see its neighbours of the same row, and of other rows only those within reach by
    raster index.
    """
    index = torch.arange(tokens, device=device)
    return (index[:, None] - index).abs() <= reach


def relative_bias(table: Tensor, side: int) -> Tensor:
    """Bias of the logits, (heads, side^2, side^2); entry (i, j) is chosen by the displacement of i from j.

    Args:
        table: ((2 side - 1)^2, heads), the displacement (-side + 1, -side + 1) first, rows before columns.
        side: of the square of tokens.
    """
    square = rearrange(table, "(a b) h -> a b h", a=2 * side - 1)
    seen = square.unfold(0, side, 1).unfold(1, side, 1).flip(-2, -1)
    return rearrange(seen, "y x h v u -> h (y x) (v u)")


def plain_attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """As scaled_dot_product_attention, and differentiable twice, as gradient penalties need."""
    logits = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
    return (logits if bias is None else logits + bias).softmax(-1) @ value


class TokenAttention(nn.Module):
    """Multi-head attention without bias of queries, keys and values. Vaswani et al. 2017, arXiv:1706.03762.

    Args:
        width: channels of a token.
        heads: divides the width.
        window: side of the square of tokens whose relative positions have a learned bias (Liu et al. 2021,
            arXiv:2103.14030, Eq. (4)); 0 is without.
        noise: add one normal number a token, times a learned strength that starts at zero, to the input in every call,
            eval mode included.
        fused: torch's fused kernel, whose gradient cannot be differentiated again.

    Raises:
        RecipeError: heads that do not divide the width.
    """

    def __init__(self, width: int, heads: int, *, window: int = 0, noise: bool = False, fused: bool = True):
        super().__init__()
        if width % heads:
            raise RecipeError(f"heads: {heads} do not divide a stage's width of {width}; use fewer, or a larger width")
        self.heads, self.window = heads, window
        self.attend = F.scaled_dot_product_attention if fused else plain_attention
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.project = nn.Linear(width, width)
        self.table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads)) if window else None
        self.strength = nn.Parameter(torch.zeros(())) if noise else None
        if self.table is not None:
            nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, x: Tensor, reach: int | None = None) -> Tensor:
        """(B, N, C) -> (B, N, C); with `reach`, token i attends to the j with |i - j| <= reach only."""
        if self.strength is not None:
            x = x + self.strength * network_normal(x, x.shape[1], 1)
        query, key, value = rearrange(self.qkv(x), "b n (three h c) -> three b h n c", three=3, h=self.heads)
        answer = self.attend(query, key, value, self._bias(query, reach))
        return self.project(rearrange(answer, "b h n c -> b n (h c)"))

    def _bias(self, query: Tensor, reach: int | None) -> Tensor | None:
        bias = None if self.table is None else relative_bias(self.table, self.window).to(query.dtype)
        if reach is None:
            return bias
        hidden = ~band(query.shape[2], reach, query.device)
        bias = query.new_zeros(hidden.shape) if bias is None else bias
        return bias.masked_fill(hidden, -torch.inf)


@dataclass(frozen=True)
class BlockStyle:
    """Settings that all blocks of a network share.

    Attributes:
        heads: of every attention.
        norm: before attention and before the MLP.
        activation: of the MLP; the leaky ReLU has slope 0.2.
        ratio: hidden width of the MLP over the token's width.
        noise: see TokenAttention.
        fused: see TokenAttention.
        gain: factor of both sides of each residual sum.
    """

    heads: int = 4
    norm: TokenNorm = "layer"
    activation: Activation = "gelu"
    ratio: int = 4
    noise: bool = False
    fused: bool = True
    gain: float = 1.0


def activation_layer(kind: Activation) -> nn.Module:
    """The layer of that name."""
    return nn.GELU() if kind == "gelu" else nn.LeakyReLU(0.2)


class TokenBlock(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)). Dosovitskiy et al. 2021, arXiv:2010.11929, Eq. (2)-(3).

    Args:
        width: channels of a token.
        style: see BlockStyle.
        window: of the bias by relative position, 0 without.
    """

    def __init__(self, width: int, style: BlockStyle, window: int = 0):
        super().__init__()
        self.gain, hidden = style.gain, style.ratio * width
        self.norm1, self.norm2 = token_norm(style.norm, width), token_norm(style.norm, width)
        self.attention = TokenAttention(width, style.heads, window=window, noise=style.noise, fused=style.fused)
        self.widen, self.narrow = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.activation = activation_layer(style.activation)

    def forward(self, x: Tensor, reach: int | None = None) -> Tensor:
        x = self.gain * (x + self.attention(self.norm1(x), reach))
        return self.gain * (x + self.narrow(self.activation(self.widen(self.norm2(x)))))


class TokenStage(nn.Module):
    """Blocks over side^2 tokens in raster order; with a grid, each window of grid^2 tokens for itself.

    Args:
        width: channels of a token.
        depth: blocks.
        side: tokens along a side.
        style: of the blocks.
        grid: side of the windows, which do not overlap; 0 lets every token see all.
        relative: learned bias by relative position.

    Raises:
        RecipeError: windows that do not fill the square.
    """

    def __init__(self, width: int, depth: int, side: int, style: BlockStyle, *, grid: int = 0, relative: bool = False):
        super().__init__()
        if grid and side % grid:
            raise RecipeError(f"windows: {grid} does not divide a stage of {side} tokens a side; use a divisor, or 0")
        self.side, self.window = side, grid or side
        window = self.window if relative else 0
        self.blocks = nn.ModuleList(TokenBlock(width, style, window) for _ in range(depth))

    def forward(self, x: Tensor, reach: int | None = None) -> Tensor:
        """(B, side^2, C) -> the same; `reach` bands the attention of the last block."""
        count = self.side // self.window
        x = to_windows(x, count)
        last = len(self.blocks) - 1
        for i, block in enumerate(self.blocks):
            x = block(x, reach if i == last else None)
        return from_windows(x, count)


def to_windows(x: Tensor, count: int) -> Tensor:
    """(B, side^2, C) in raster order -> (B count^2, (side / count)^2, C), windows and their tokens in raster order."""
    side = round(x.shape[1] ** 0.5)
    split = {"m": count, "n": count, "v": side // count}
    return x if count == 1 else rearrange(x, "b (m v n u) c -> (b m n) (v u) c", **split)


def from_windows(x: Tensor, count: int) -> Tensor:
    """Undoes `to_windows`."""
    window = round(x.shape[1] ** 0.5)
    split = {"m": count, "n": count, "v": window}
    return x if count == 1 else rearrange(x, "(b m n) (v u) c -> b (m v n u) c", **split)


def shuffled_up(x: Tensor) -> Tensor:
    """(B, h^2, 4 C) -> (B, 4 h^2, C), four channels of a token to four pixels. Shi et al. 2016, arXiv:1609.05158."""
    side = round(x.shape[1] ** 0.5)
    return rearrange(x, "b (h w) (c p q) -> b (h p w q) c", h=side, p=2, q=2)
