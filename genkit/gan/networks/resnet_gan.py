"""Residual pair for images of 8 to 256 pixels, as in PPOGAN (Wu et al. 2020), which took it from WGAN-GP and CT-GAN.

At 32 pixels and 3 channels these are the networks of PPOGAN's CIFAR-10 experiment: generator of width 256, critic of
width 332 with dropout (0.2, 0.5, 0.5), and as auxiliary real/fake classifier the critic with norm "batch".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from einops import reduce
from torch import Tensor, nn

from genkit.core.errors import RecipeError
from genkit.gan.networks.blocks import DownBlock, FirstBlock, PlainBlock, UpBlock
from genkit.gan.networks.critic import AlwaysDropout, Critic
from genkit.gan.networks.latent import GrownFromMap
from genkit.layers.arguments import Channels, Classes, ImageSize, LatentDim, Norm, Rate, Width
from genkit.layers.norm import norm_layer, spectrally_normalise

LARGEST = 256
"""Side length, in pixels."""


class ResNetGenerator(GrownFromMap):
    """z -> images in [-1, 1]: a linear layer, up-blocks of one width, norm, ReLU, 3x3, tanh.

    The shortcuts of the up-blocks have no convolution. Convolutions start Kaiming-uniform (fan-in), the linear layer
    and the last convolution Xavier-uniform (gain 1 and 5/3).

    Args:
        latent_dim: width of z.
        size: side length in pixels: 4, 5, 6 or 7 times a power of two.
        channels: 1 for grey, 3 for colour.
        width: channels of every hidden map.
        classes: 0 is unconditional.
        low_resolution: learn to start from an image of the first map's size too, for `super_resolution`.

    Raises:
        RecipeError: another size.
    """

    def __init__(
        self,
        latent_dim: LatentDim,
        size: ImageSize = 32,
        channels: Channels = 3,
        width: Width = 128,
        classes: Classes = 0,
        low_resolution: bool = False,
    ):
        super().__init__(latent_dim, (channels, size, size), classes)
        self.base, times = doublings(size)
        self.stem = nn.Linear(self.input_dim, width * self.base**2)
        self.blocks = nn.Sequential(*(UpBlock(width) for _ in range(times)))
        self.norm = norm_layer("batch", width)
        self.to_image = nn.Conv2d(width, channels, 3, padding=1)
        _kaiming_convs(self.blocks, mode="fan_in")
        nn.init.xavier_uniform_(self.stem.weight)
        nn.init.xavier_uniform_(self.to_image.weight, nn.init.calculate_gain("tanh"))
        self.from_low = nn.Conv2d(channels, width, 1) if low_resolution else None

    def grown(self, h: Tensor) -> Tensor:
        return self.to_image(F.relu(self.norm(self.blocks(h)))).tanh()


class ResNetCritic(Critic):
    """Images -> scores: down-blocks to a map of at most 8 pixels, two plain blocks, ReLU, average pool, linear.

    3x3 convolutions start Kaiming-uniform (fan-out), 1x1 and linear Xavier-uniform. With norm "batch" it is the
    auxiliary classifier of ratio clipping: the score is then the logit of P(real).

    Args:
        size: side length in pixels: 4, 5, 6 or 7 times a power of two.
        channels: 1 for grey, 3 for colour.
        width: channels of every hidden map, and of the features.
        norm: before the convolutions of every block but the first.
        spectral_norm: divide every weight by its largest singular value.
        dropout: rates after the last blocks, active in every call, eval mode included; CT-GAN uses (0.2, 0.5, 0.5).
        classes: 0 is unconditional.

    Raises:
        RecipeError: another size, or more rates than blocks.
    """

    def __init__(
        self,
        size: ImageSize = 32,
        channels: Channels = 3,
        width: Width = 128,
        norm: Norm = "none",
        spectral_norm: bool = False,
        dropout: Sequence[Rate] = (),
        classes: Classes = 0,
    ):
        super().__init__((channels, size, size), width, classes)
        downs = _downs(size)
        self.blocks = nn.ModuleList(
            [
                FirstBlock(channels, width),
                *(DownBlock(width, norm) for _ in range(downs)),
                *(PlainBlock(width, norm) for _ in range(2)),
            ]
        )
        if len(dropout) > len(self.blocks):
            raise RecipeError(f"dropout: at most {len(self.blocks)} rates at {size} pixels, got {len(dropout)}")
        rates = [0.0] * (len(self.blocks) - len(dropout)) + list(dropout)
        self.dropouts = nn.ModuleList(AlwaysDropout(rate) for rate in rates)
        _kaiming_convs(self.blocks, mode="fan_out")
        if spectral_norm:
            spectrally_normalise(self)

    def features(self, x: Tensor) -> Tensor:
        for block, dropout in zip(self.blocks, self.dropouts, strict=True):
            x = dropout(block(x))
        return reduce(F.relu(x), "b c h w -> b c", "mean")


def doublings(size: int) -> tuple[int, int]:
    """(b, k) with size = b * 2**k and b of 4 to 7: 28 -> (7, 2), 32 -> (4, 3), 48 -> (6, 3).

    Raises:
        RecipeError: a size that is no such product.
    """
    base, times = size, 0
    while base > 7 and base % 2 == 0:
        base, times = base // 2, times + 1
    if not (4 <= base <= 7 and times >= 1 and size <= LARGEST):
        near = min(_doubled_sizes(), key=lambda accepted: abs(accepted - size))
        accepted = ", ".join(map(str, _doubled_sizes()))
        raise RecipeError(f"size: {size} is not 4, 5, 6 or 7 times a power of two; nearest {near}, accepted {accepted}")
    return base, times


def _doubled_sizes() -> list[int]:
    return sorted(b * 2**k for b in (4, 5, 6, 7) for k in range(1, 7) if b * 2**k <= LARGEST)


def _downs(size: int) -> int:
    """Down-blocks after the first block: as many as it takes to reach 8 pixels."""
    doublings(size)
    size, downs = size // 2, 0
    while size > 8:
        size, downs = size // 2, downs + 1
    return downs


def _kaiming_convs(module: nn.Module, mode: Literal["fan_in", "fan_out"]) -> None:
    """Kaiming-uniform 3x3 convolutions, Xavier-uniform 1x1."""
    for conv in module.modules():
        if isinstance(conv, nn.Conv2d) and conv.kernel_size == (1, 1):
            nn.init.xavier_uniform_(conv.weight)
        elif isinstance(conv, nn.Conv2d):
            nn.init.kaiming_uniform_(conv.weight, mode=mode, nonlinearity="relu")
