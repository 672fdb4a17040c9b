"""Squares of pixels as channels, and back: a permutation, so that likelihoods stay what they are."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor


def to_patches(x: Tensor, patch: int) -> Tensor:
    """(B, C, H, W) -> (B, C * patch**2, H / patch, W / patch)."""
    return x if patch == 1 else rearrange(x, "b c (h p) (w q) -> b (c p q) h w", p=patch, q=patch)


def from_patches(x: Tensor, patch: int) -> Tensor:
    """(B, C * patch**2, H, W) -> (B, C, H * patch, W * patch)."""
    return x if patch == 1 else rearrange(x, "b (c p q) h w -> b c (h p) (w q)", p=patch, q=patch)
