"""The transformer critics of TransGAN (Jiang et al. 2021, arXiv:2102.07074): one patch size, and two scales.

Their attention is written out, because a gradient penalty differentiates it twice.
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field
from torch import Tensor, nn

from genkit.core.errors import RecipeError
from genkit.gan.networks.critic import Critic
from genkit.gan.networks.token_block import Activation, BlockStyle, TokenBlock, TokenStage
from genkit.gan.networks.token_norm import TokenNorm, token_norm
from genkit.gan.networks.transgan_generator import AttentionWindow, BlockCount, HeadCount, Ratio, Resolution
from genkit.layers.arguments import Channels, Width

PatchSize = Annotated[int, Field(ge=1, le=64)]


class TransGANCritic(Critic):
    """Images -> scores: a vision transformer over patches, whose class token is the features.

    Of the paper's first version, for 32 pixels: patch 4, width 384, depth 7. Dosovitskiy et al. 2021, arXiv:2010.11929.
    Linear layers, positions and class token start truncated normal with standard deviation 0.02, biases at zero, the
    convolution Xavier-uniform.

    Args:
        size: side length in pixels, a multiple of the patch.
        channels: 1 for grey, 3 for colour.
        patch: side length in pixels of the square that becomes one token.
        width: channels of a token, a multiple of the heads.
        depth: blocks.
        heads: of every attention.
        ratio: hidden width of the MLPs over the token's.

    Raises:
        RecipeError: a size that the patches do not fill, or a width that the heads do not share.
    """

    def __init__(
        self,
        size: Resolution = 32,
        channels: Channels = 3,
        patch: PatchSize = 4,
        width: Width = 384,
        depth: BlockCount = 7,
        heads: HeadCount = 4,
        ratio: Ratio = 4,
    ):
        super().__init__((channels, size, size), width, 0)
        tokens = _patches(size, patch) ** 2
        style = BlockStyle(heads, ratio=ratio, fused=False)
        self.to_tokens = nn.Conv2d(channels, width, patch, stride=patch)
        self.token = nn.Parameter(torch.empty(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, tokens + 1, width))
        self.blocks = nn.Sequential(*(TokenBlock(width, style) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        _start(self, self.token, self.positions)

    def features(self, x: Tensor) -> Tensor:
        x = rearrange(self.to_tokens(x), "b c h w -> b (h w) c")
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.positions
        return self.norm(self.blocks(x))[:, 0]


class TwoScaleTransGANCritic(Critic):
    """Images -> scores by the critic of the paper's second version, which sees patches of two sizes.

    Tokens of the smaller patches, of three quarters of the width, go through blocks, are averaged two by two and joined
    with tokens of patches twice as large; after more blocks a class token is added for one last block. All blocks but
    the last have a learned bias by relative position and all attentions a token noise of learned strength. For 32
    pixels the paper has patch 2, width 384, depth 3.

    Args:
        size: side length in pixels, a multiple of twice the patch.
        channels: 1 for grey, 3 for colour.
        patch: side length in pixels of the smaller patches.
        width: channels of a token in the second half, a multiple of four times the heads.
        depth: blocks of each half.
        heads: of every attention.
        ratio: hidden width of the MLPs over the token's.
        norm: before attention and MLP, and before the head. With "none" residual sums are scaled by sqrt(1/2).
        activation: of the MLPs.
        window: side of the windows that confine attention among the smaller patches, 0 for none; for 128 pixels and
            more, where full attention would not fit.

    Raises:
        RecipeError: a size that the patches do not fill, a width that cannot be shared, or windows that do not fit.
    """

    def __init__(
        self,
        size: Resolution = 32,
        channels: Channels = 3,
        patch: PatchSize = 2,
        width: Width = 384,
        depth: BlockCount = 3,
        heads: HeadCount = 4,
        ratio: Ratio = 4,
        norm: TokenNorm = "layer",
        activation: Activation = "gelu",
        window: AttentionWindow = 0,
    ):
        super().__init__((channels, size, size), width, 0)
        coarse, fine = _patches(size, 2 * patch), _patches(size, patch)
        if width % 4:
            raise RecipeError(f"width: the two scales share it 3 to 1, so it is a multiple of 4; got {width}")
        narrow = width // 4 * 3
        style = BlockStyle(
            heads, norm, activation, ratio, noise=True, fused=False, gain=0.5**0.5 if norm == "none" else 1
        )
        self.to_fine = nn.Conv2d(channels, narrow, patch, stride=patch)
        self.to_coarse = nn.Conv2d(channels, width - narrow, 2 * patch, stride=2 * patch)
        self.fine_positions = nn.Parameter(torch.empty(1, fine**2, narrow))
        self.coarse_positions = nn.Parameter(torch.empty(1, coarse**2, width))
        self.token = nn.Parameter(torch.empty(1, 1, width))
        self.fine = TokenStage(narrow, depth, fine, style, grid=window, relative=True)
        self.coarse = TokenStage(width, depth, coarse, style, relative=True)
        self.last = TokenBlock(width, style)
        self.norm = token_norm(norm, width)
        _start(self, self.token, self.fine_positions, self.coarse_positions)

    def features(self, x: Tensor) -> Tensor:
        fine, coarse = self.to_fine(x), rearrange(self.to_coarse(x), "b c h w -> b (h w) c")
        side = fine.shape[-1]
        tokens = self.fine(rearrange(fine, "b c h w -> b (h w) c") + self.fine_positions)
        pooled = F.avg_pool2d(rearrange(tokens, "b (h w) c -> b c h w", h=side), 2)
        both = torch.cat([rearrange(pooled, "b c h w -> b (h w) c"), coarse], dim=2)
        seen = self.coarse(both + self.coarse_positions)
        return self.norm(self.last(torch.cat([self.token.expand(len(x), -1, -1), seen], dim=1)))[:, 0]


def _patches(size: int, patch: int) -> int:
    if size % patch:
        raise RecipeError(f"size: patches of {patch} pixels do not fill {size}; use a multiple of {patch}")
    return size // patch


def _start(network: Critic, *free: nn.Parameter) -> None:
    for parameter in free:
        nn.init.trunc_normal_(parameter, std=0.02)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
