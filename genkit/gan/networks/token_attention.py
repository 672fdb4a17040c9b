"""Self-attention of tokens in raster order, with an optional band and an optional bias by relative position."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genkit.core.errors import RecipeError
from genkit.core.processes import network_normal


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
