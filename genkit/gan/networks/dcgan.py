"""Strided-convolution pair after Radford et al. 2016, for images of 8 to 256 pixels.

Kernels are 4x4, and 3x3 between maps of odd size (7 and 4), where the paper has 5x5: about half the cost, and with an
even kernel every output pixel of a doubling is made from equally many inputs.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genkit.core.errors import RecipeError
from genkit.gan.networks.critic import AlwaysDropout, Critic
from genkit.gan.networks.latent import GrownFromMap
from genkit.layers.arguments import Channels, Classes, ImageSize, LatentDim, Norm, Rate, Width
from genkit.layers.norm import norm_layer, spectrally_normalise

SMALLEST, LARGEST = 8, 256
"""Side lengths that are accepted, in pixels."""


class DCGANGenerator(GrownFromMap):
    """z -> images in [-1, 1]: a linear layer, then strided transposed convolutions with ReLU, tanh at the end.

    28 pixels grow 4, 7, 14, 28; 48 pixels 6, 12, 24, 48; 64 pixels 4, 8, 16, 32, 64. Channels halve on the way;
    above 1024 they stay equal.
    Weights start normal with standard deviation 0.02, those of the norms around one (Radford et al., section 4).

    Args:
        latent_dim: width of z.
        size: side length in pixels.
        channels: 1 for grey, 3 for colour.
        width: channels of the last hidden map; the paper's network is size 64, width 128.
        norm: "batch" as in the paper, or "none".
        classes: 0 is unconditional.
        low_resolution: learn to start from an image of the first map's size too, for `super_resolution`.

    Raises:
        RecipeError: a size outside 8 to 256.
    """

    def __init__(
        self,
        latent_dim: LatentDim,
        size: ImageSize = 28,
        channels: Channels = 1,
        width: Width = 64,
        norm: Literal["batch", "none"] = "batch",
        classes: Classes = 0,
        low_resolution: bool = False,
    ):
        super().__init__(latent_dim, (channels, size, size), classes)
        sizes = halved(size)[::-1]
        widths = _widths(width, len(sizes) - 1)[::-1]
        self.base = sizes[0]
        self.stem = nn.Linear(self.input_dim, widths[0] * self.base**2)
        self.norms = nn.ModuleList(norm_layer(norm, w) for w in widths)
        self.convs = nn.ModuleList(
            nn.ConvTranspose2d(a, b, _kernel(large), 2, padding=1)
            for (a, b), large in zip(pairwise([*widths, channels]), sizes[1:], strict=True)
        )
        self.apply(_dcgan_init)
        self.from_low = nn.Conv2d(channels, widths[0], 1) if low_resolution else None

    def grown(self, h: Tensor) -> Tensor:
        for norm, conv in zip(self.norms, self.convs, strict=True):
            h = conv(F.relu(norm(h)))
        return h.tanh()


class DCGANCritic(Critic):
    """Images -> scores: strided convolutions with leaky ReLU (0.2), flattened, one linear layer.

    The mirror of DCGANGenerator; the first convolution has no norm, as in the paper. Weights start by He's rule
    (uniform, fan-in), as in the code of Gulrajani et al. 2017: without norms, Radford's 0.02 would make the first
    scores and their gradients vanish.

    Args:
        size: side length in pixels.
        channels: 1 for grey, 3 for colour.
        width: channels of the first map.
        norm: "none" and "layer" keep samples apart, which the gradient penalty wants; "batch" as in the paper.
        spectral_norm: divide every weight by its largest singular value.
        dropout: rate after every convolution, active in every call, eval mode included.
        classes: 0 is unconditional.

    Raises:
        RecipeError: a size outside 8 to 256.
    """

    def __init__(
        self,
        size: ImageSize = 28,
        channels: Channels = 1,
        width: Width = 64,
        norm: Norm = "none",
        spectral_norm: bool = False,
        dropout: Rate = 0.0,
        classes: Classes = 0,
    ):
        *_, base = sizes = halved(size)
        widths = _widths(width, len(sizes) - 1)
        super().__init__((channels, size, size), widths[-1] * base**2, classes)
        convs = [
            nn.Conv2d(a, b, _kernel(large), 2, padding=1)
            for (a, b), large in zip(pairwise([channels, *widths]), sizes[:-1], strict=True)
        ]
        self.norms = nn.ModuleList(norm_layer(norm if i else "none", w) for i, w in enumerate(widths))
        self.dropout = AlwaysDropout(dropout)
        for conv in convs:
            nn.init.kaiming_uniform_(conv.weight, a=0.2)
        self.convs = nn.ModuleList(convs)
        if spectral_norm:
            spectrally_normalise(self)

    def features(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = self.dropout(F.leaky_relu(norm(conv(x)), 0.2))
        return rearrange(x, "b c h w -> b (c h w)")


def halved(size: int) -> list[int]:
    """`size` halved, rounding up, until it is 4, 5 or 6: 28 -> [28, 14, 7, 4], 64 -> [64, 32, 16, 8, 4].

    Raises:
        RecipeError: a size outside 8 to 256.
    """
    if not SMALLEST <= size <= LARGEST:
        raise RecipeError(f"size: images of {SMALLEST} to {LARGEST} pixels are accepted, got {size}")
    chain = [size]
    while chain[-1] > 6:
        chain.append(-(-chain[-1] // 2))
    return chain


def _kernel(large: int) -> int:
    """The kernel that, with stride 2 and padding 1, links a map of `large` pixels to one of half, rounded up."""
    return 4 if large % 2 == 0 else 3


def _widths(first: int, maps: int) -> list[int]:
    return [max(first, min(first * 2**i, 1024)) for i in range(maps)]


def _dcgan_init(layer: nn.Module) -> None:
    if isinstance(layer, (nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
