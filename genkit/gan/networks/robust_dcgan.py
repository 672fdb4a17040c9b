"""The convolutional networks of the robust-OT authors, for images of 32 pixels (Balaji et al. 2020, arXiv:2010.05862).

They are kept as they were trained, so that their weights mean the same here; DCGANGenerator and DCGANCritic are the
networks to start from.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genkit.gan.networks.critic import Critic
from genkit.gan.networks.latent import LatentNetwork
from genkit.layers.arguments import Channels, Classes, ImageSize, LatentDim, Width
from genkit.layers.norm import spectrally_normalise

SIDE, MAP = 32, 4
"""Side lengths of an image and of the smallest map, in pixels."""


class RobustDCGANGenerator(LatentNetwork):
    """z -> (channels, 32, 32) in [-1, 1]: 4x4 transposed convolutions 4, 8, 16, 32 with batch norm, a 3x3 one, tanh.

    Args:
        latent_dim: width of z.
        channels: 1 for grey, 3 for colour.
        width: maps before the image; 64 in the paper's code.
        bias: of the convolutions.
        classes: 0 is unconditional.
    """

    def __init__(
        self,
        latent_dim: LatentDim,
        channels: Channels = 3,
        width: Width = 64,
        bias: bool = False,
        classes: Classes = 0,
    ):
        super().__init__(latent_dim, (channels, SIDE, SIDE), classes)
        widths = [8 * width, 4 * width, 2 * width, width]
        self.stem = nn.ConvTranspose2d(self.input_dim, widths[0], MAP, bias=bias)
        self.convs = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1, bias=bias) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm2d(w) for w in widths)
        self.to_image = nn.ConvTranspose2d(width, channels, 3, padding=1, bias=bias)

    def decode(self, z: Tensor) -> Tensor:
        h = F.relu(self.norms[0](self.stem(rearrange(z, "b c -> b c 1 1"))))
        for conv, norm in zip(self.convs, self.norms[1:], strict=True):
            h = F.relu(norm(conv(h)))
        return self.to_image(h).tanh()


class RobustDCGANCritic(Critic):
    """(channels, 32, 32) -> scores: a 3x3 convolution, 4x4 ones of stride 2 to 4 pixels, leaky ReLU (0.2), linear.

    Args:
        channels: 1 for grey, 3 for colour.
        width: maps after the first convolution; 64 in the paper's code.
        bias: of all layers.
    """

    def __init__(self, channels: Channels = 3, width: Width = 64, bias: bool = False):
        widths = [width, 2 * width, 4 * width, 8 * width]
        super().__init__((channels, SIDE, SIDE), widths[-1] * MAP**2, 0)
        downs = [nn.Conv2d(a, b, 4, 2, 1, bias=bias) for a, b in pairwise(widths)]
        self.convs = nn.ModuleList([nn.Conv2d(channels, width, 3, padding=1, bias=bias), *downs])
        self.head = nn.Linear(self.feature_dim, 1, bias=bias)

    def features(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        return x.flatten(1)


class SNDCGANCritic(Critic):
    """(channels, 32, 32) -> scores: seven spectrally normalised convolutions, leaky ReLU (0.2), linear.

    Miyato et al. 2018, arXiv:1802.05957, Table 3: 3x3 of stride 1 and 4x4 of stride 2 in turn, to 4 pixels.

    Args:
        channels: 1 for grey, 3 for colour.
        width: maps after the first convolution; 64 in the paper.
    """

    def __init__(self, channels: Channels = 3, width: Width = 64):
        super().__init__((channels, SIDE, SIDE), 8 * width * MAP**2, 0)
        widths = [channels, width, width, 2 * width, 2 * width, 4 * width, 4 * width, 8 * width]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 4, 2, 1) if i % 2 else nn.Conv2d(a, b, 3, padding=1)
            for i, (a, b) in enumerate(pairwise(widths))
        )
        spectrally_normalise(self)

    def features(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        return x.flatten(1)


class WeightNetwork(Critic):
    """(channels, size, size) -> a number each: three times 3x3, ReLU, 2x2 max-pool; then linear.

    The network W of Balaji et al. 2020, arXiv:2010.05862, before its last activation, which robust_weights applies.

    Args:
        size: side length in pixels, 8 to 256; 32 in the paper's code.
        channels: 1 for grey, 3 for colour.
        width: maps after the first convolution, doubled twice.
    """

    def __init__(self, size: ImageSize = SIDE, channels: Channels = 3, width: Width = 64):
        widths = [channels, width, 2 * width, 4 * width]
        super().__init__((channels, size, size), widths[-1] * (size // 8) ** 2, 0)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))

    def features(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.max_pool2d(F.relu(conv(x)), 2)
        return x.flatten(1)
