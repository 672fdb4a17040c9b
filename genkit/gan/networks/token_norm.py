"""Normalisation of tokens (B, N, C) by name."""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn

from genkit.core.processes import BatchNorm1d

TokenNorm = Literal["layer", "batch", "instance", "pixel", "none"]


def token_norm(kind: TokenNorm, width: int) -> nn.Module:
    """A layer for (B, N, width) tokens.

    "layer" and "pixel" normalise a token over its channels, with and without mean, scale and shift; "batch" a channel
    over tokens and samples; "instance" a channel over the tokens of a sample, without scale and shift.
    """
    if kind == "layer":
        return nn.LayerNorm(width)
    if kind == "batch":
        return TokenBatchNorm(width)
    if kind == "instance":
        return TokenInstanceNorm()
    return PixelNorm() if kind == "pixel" else nn.Identity()


class TokenBatchNorm(BatchNorm1d):
    """Batch norm whose channels come last."""

    def forward(self, x: Tensor) -> Tensor:
        return rearrange(super().forward(rearrange(x, "b n c -> b c n")), "b c n -> b n c")


class TokenInstanceNorm(nn.Module):
    """(x - mean) / std of every channel over the tokens of its sample, variance plus 1e-5."""

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
        return (x - mean) * (variance + 1e-5).rsqrt()


class PixelNorm(nn.Module):
    """x / sqrt(mean of x^2 over channels + 1e-8), along the last dimension. Karras et al. 2018, section 4.2."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (x.square().mean(-1, keepdim=True) + 1e-8).rsqrt()
