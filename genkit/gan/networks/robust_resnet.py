"""The residual networks of the robust-OT authors, with their two departures from the usual ones (Balaji et al. 2020).

The generator's block returns its residual branch twice, evaluated twice, and no shortcut; an in-place ReLU makes the
shortcuts of the critic see ReLU(x).
"""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor, nn

from genkit.gan.networks.blocks import DownBlock, FirstBlock, PlainBlock, UpBlock
from genkit.gan.networks.critic import Critic
from genkit.gan.networks.latent import LatentNetwork
from genkit.gan.networks.robust_dcgan import MAP, SIDE
from genkit.layers.arguments import Channels, Classes, LatentDim, Width


def _conv(inputs: int, outputs: int, transposed: bool) -> nn.Module:
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    return kind(inputs, outputs, 3, padding=1)


class BranchTwice(UpBlock):
    """(B, C, H, W) -> (B, C, 2H, 2W): the residual branch of an up-block plus the same once more."""

    def __init__(self, channels: int, transposed: bool):
        super().__init__(channels)
        self.conv1, self.conv2 = (_conv(channels, channels, transposed) for _ in range(2))  # type: ignore[assignment]

    def branch(self, x: Tensor) -> Tensor:
        h = F.interpolate(F.relu(self.norm1(x)), scale_factor=2.0, mode="nearest")
        return self.conv2(F.relu(self.norm2(self.conv1(h))))

    def forward(self, x: Tensor) -> Tensor:
        # Twice in earnest: the running statistics of the batch norms see the batch twice.
        return self.branch(x) + self.branch(x)


class RobustResNetGenerator(LatentNetwork):
    """z -> (channels, 32, 32) in [-1, 1]: a linear layer, three blocks, norm, ReLU, 3x3, tanh.

    Args:
        latent_dim: width of z.
        channels: 1 for grey, 3 for colour.
        width: maps of every block; 128 in the paper's code.
        transposed: 3x3 transposed convolutions of stride 1, as shipped by the authors (arXiv:2010.05862).
        classes: 0 is unconditional.
    """

    def __init__(
        self,
        latent_dim: LatentDim,
        channels: Channels = 3,
        width: Width = 128,
        transposed: bool = True,
        classes: Classes = 0,
    ):
        super().__init__(latent_dim, (channels, SIDE, SIDE), classes)
        self.stem = nn.Linear(self.input_dim, width * MAP**2)
        self.blocks = nn.Sequential(*(BranchTwice(width, transposed) for _ in range(3)))
        self.norm = nn.BatchNorm2d(width)
        self.to_image = _conv(width, channels, transposed)

    def decode(self, z: Tensor) -> Tensor:
        h = rearrange(self.stem(z), "b (c h w) -> b c h w", h=MAP, w=MAP)
        return self.to_image(F.relu(self.norm(self.blocks(h)))).tanh()


class RobustResNetCritic(Critic):
    """(channels, 32, 32) -> scores: a ResNetCritic whose pooling sums and whose later blocks see ReLU(x) throughout.

    Args:
        channels: 1 for grey, 3 for colour.
        width: maps; 128 in the paper's code (arXiv:2010.05862).
    """

    def __init__(self, channels: Channels = 3, width: Width = 128):
        super().__init__((channels, SIDE, SIDE), width, 0)
        self.first = FirstBlock(channels, width)
        self.blocks = nn.ModuleList(
            [DownBlock(width, "none"), PlainBlock(width, "none"), PlainBlock(width, "none")],
        )

    def features(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(F.relu(x))
        return reduce(F.relu(x), "b c h w -> b c", "sum")
