"""Transformer blocks and stages of blocks over a square of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from einops import rearrange
from torch import Tensor, nn

from genkit.core.errors import RecipeError
from genkit.gan.networks.token_attention import TokenAttention
from genkit.gan.networks.token_norm import TokenNorm, token_norm

Activation = Literal["gelu", "leaky_relu"]


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
