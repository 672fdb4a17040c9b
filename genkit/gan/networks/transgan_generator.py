"""The transformer generators of TransGAN (Jiang et al. 2021, arXiv:2102.07074), both of its versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field
from torch import Tensor, nn

from genkit.core.errors import RecipeError
from genkit.gan.networks.latent import GrownFromMap
from genkit.gan.networks.token_block import Activation, BlockStyle, TokenStage, shuffled_up
from genkit.gan.networks.token_norm import TokenNorm
from genkit.layers.arguments import Channels, LatentDim, Width

Resolution = Annotated[int, Field(ge=1, le=1024)]
BlockCount = Annotated[int, Field(ge=1, le=64)]
HeadCount = Annotated[int, Field(ge=1, le=64)]
Ratio = Annotated[int, Field(ge=1, le=16)]
AttentionWindow = Annotated[int, Field(ge=0, le=256)]


class TransGANGenerator(GrownFromMap):
    """z -> images: stages of transformer blocks at doubling sides, a 1x1 convolution at the end and no tanh.

    The images are unbounded; those of `sample` are cut to [-1, 1]. A pixel shuffle between stages divides the width by
    four. Of the paper's first version, for 32 pixels: S, M and L have depths (5, 2, 2) and width 384, 512 and 768, XL
    (5, 4, 2) and 1024, `latent_dim` as the width. Its 48 pixels are width 768, its 64 pixels width 1024 and depths
    (5, 3, 3, 2). The second version has `relative`, depths (5, 4, 2), latent_dim 256, and at 256 pixels `windows`
    (0, 0, 0, 16, 16, 16) and `bicubic` 2.

    Linear layers start as torch's, positions truncated normal with standard deviation 0.02, the last convolution
    Xavier-uniform.

    Args:
        latent_dim: width of z.
        size: side length in pixels, a multiple of 2^(stages - 1); over that it is the side of the first stage, 8 in
            the paper.
        channels: 1 for grey, 3 for colour.
        width: channels of a token in the first stage.
        depths: blocks of every stage.
        heads: of every attention; every stage's width is a multiple.
        ratio: hidden width of the MLPs over the token's.
        norm: before attention and MLP.
        activation: of the MLPs.
        relative: learned bias by relative position in every attention.
        windows: per stage, the side of the windows that confine attention, 0 for none; () is none at all.
        bicubic: number of first doublings that are bicubic and keep the width, instead of pixel shuffles.
        normalised: rescale z to length sqrt(latent_dim) first.
        skips: every stage makes an image, and their nearest-neighbour enlargements are added.
        low_resolution: learn to start from an image of the first stage's size too, for `super_resolution`.

    Attributes:
        locality: the half-width w of the band |i - j| <= w, in raster order, that the last block of the last stage
            attends within; None lets it see all. A schedule sets it; it is no weight and is not saved.
        grid: the number of tokens that the last block attends over.

    Raises:
        RecipeError: a size, width, or windows that the stages cannot have.
    """

    locality: int | None

    def __init__(
        self,
        latent_dim: LatentDim,
        size: Resolution = 32,
        channels: Channels = 3,
        width: Width = 384,
        depths: Sequence[BlockCount] = (5, 2, 2),
        heads: HeadCount = 4,
        ratio: Ratio = 4,
        norm: TokenNorm = "layer",
        activation: Activation = "gelu",
        relative: bool = False,
        windows: Sequence[AttentionWindow] = (),
        bicubic: Annotated[int, Field(ge=0, le=16)] = 0,
        normalised: bool = False,
        skips: bool = False,
        low_resolution: bool = False,
    ):
        super().__init__(latent_dim, (channels, size, size), 0)
        self.sides, widths = stage_sides(size, len(depths)), stage_widths(width, len(depths), bicubic)
        self.base = self.sides[0]
        grids = _checked_windows(windows, len(depths))
        style = BlockStyle(heads, norm, activation, ratio)
        self.bicubic, self.normalised, self.skips, self.locality = bicubic, normalised, skips, None
        self.stem = nn.Linear(latent_dim, width * self.base**2)
        self.positions = nn.ParameterList(torch.empty(1, s * s, w) for s, w in zip(self.sides, widths, strict=True))
        self.stages = nn.ModuleList(
            TokenStage(w, depth, side, style, grid=grid, relative=relative)
            for w, depth, side, grid in zip(widths, depths, self.sides, grids, strict=True)
        )
        self.to_images = nn.ModuleList(nn.Conv2d(w, channels, 1) for w in (widths if skips else widths[-1:]))
        self.from_low = nn.Linear(channels, width) if low_resolution else None
        self.grid = (grids[-1] or size) ** 2
        _start(self)

    def decode(self, z: Tensor) -> Tensor:
        if self.normalised:
            z = F.normalize(z, dim=1) * self.latent_dim**0.5
        return self.grown(rearrange(self.stem(z), "b (n c) -> b n c", n=self.base**2))

    def from_low_res(self, x: Tensor) -> Tensor:
        """Images (B, C, low_size, low_size) -> (B, *sample_shape): their pixels replace the tokens made from z.

        The paper trains this task without saying how the image enters; a linear layer from a pixel's colour to its
        token is our choice.
        """
        return super().from_low_res(rearrange(x, "b c h w -> b (h w) c"))

    def stage_tokens(self, x: Tensor) -> list[Tensor]:
        """First-stage tokens without positions -> the tokens (B, side^2, C) after every stage."""
        outs: list[Tensor] = []
        for i, (stage, position) in enumerate(zip(self.stages, self.positions, strict=True)):
            if i:
                x = _bicubic_up(x) if i <= self.bicubic else shuffled_up(x)
            x = stage(x + position, self.locality if i == len(self.stages) - 1 else None)
            outs.append(x)
        return outs

    def grown(self, h: Tensor) -> Tensor:
        tokens = self.stage_tokens(h)
        if not self.skips:
            return _image(self.to_images[0], tokens[-1])
        size = self.sample_shape[-1]
        images = [_image(layer, x) for layer, x in zip(self.to_images, tokens, strict=True)]
        return torch.stack([F.interpolate(image, size=(size, size)) for image in images]).sum(0)


def stage_sides(size: int, stages: int) -> list[int]:
    """Tokens along a side in every stage, the last of them `size`: (32, 3) -> [8, 16, 32].

    Raises:
        RecipeError: a size that cannot be halved so often.
    """
    if size % 2 ** (stages - 1):
        step = 2 ** (stages - 1)
        raise RecipeError(f"size: {stages} stages make multiples of {step} pixels, got {size}; change size or depths")
    return [size // 2**k for k in reversed(range(stages))]


def stage_widths(width: int, stages: int, bicubic: int = 0) -> list[int]:
    """Channels of a token in every stage: kept by the first `bicubic` doublings, a quarter by the others.

    Raises:
        RecipeError: more bicubic doublings than there are, or a width that cannot be quartered so often.
    """
    if bicubic > stages - 1:
        raise RecipeError(f"bicubic: {stages} stages have {stages - 1} doublings, got {bicubic}")
    shuffles = stages - 1 - bicubic
    if width % 4**shuffles:
        raise RecipeError(f"width: {shuffles} pixel shuffles need a multiple of {4**shuffles}, got {width}")
    return [width // 4 ** max(0, i - bicubic) for i in range(stages)]


def _checked_windows(windows: Sequence[int], stages: int) -> Sequence[int]:
    if windows and len(windows) != stages:
        raise RecipeError(f"windows: one a stage, {stages} in all, or none; got {len(windows)}")
    return windows or [0] * stages


def _bicubic_up(x: Tensor) -> Tensor:
    """Bicubic doubling by a matrix for each axis: torch's own adds up gradients in any order on a GPU."""
    side = round(x.shape[1] ** 0.5)
    eye = torch.eye(side, device=x.device, dtype=x.dtype)[None, None]
    up = F.interpolate(eye, (2 * side, side), mode="bicubic")[0, 0]
    square = rearrange(x, "b (h w) c -> b c h w", h=side)
    return rearrange(up @ square @ up.T, "b c h w -> b (h w) c")


def _image(layer: nn.Module, tokens: Tensor) -> Tensor:
    return layer(rearrange(tokens, "b (h w) c -> b c h w", h=round(tokens.shape[1] ** 0.5)))  # type: ignore[no-any-return]


def _start(network: TransGANGenerator) -> None:
    for position in network.positions:
        nn.init.trunc_normal_(position, std=0.02)
    for layer in network.to_images:
        assert isinstance(layer, nn.Conv2d)
        nn.init.xavier_uniform_(layer.weight)
