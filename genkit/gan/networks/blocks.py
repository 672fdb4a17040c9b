"""Residual blocks of GANs (Gulrajani et al. 2017, appendix F; Miyato et al. 2018, appendix B.4)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from genkit.layers.arguments import Norm
from genkit.layers.norm import norm_layer


class UpBlock(nn.Module):
    """(B, C, H, W) -> (B, C, 2H, 2W): norm, ReLU, nearest x2, 3x3, norm, ReLU, 3x3; the shortcut is nearest x2."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm1, self.norm2 = norm_layer("batch", channels), norm_layer("batch", channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(_doubled(F.relu(self.norm1(x))))
        return _doubled(x) + self.conv2(F.relu(self.norm2(h)))


class FirstBlock(nn.Module):
    """(B, in, H, W) -> (B, out, H/2, W/2): 3x3, ReLU, 3x3, average pool; the shortcut is average pool, 1x1.

    No activation and no normalisation before the first convolution, because its input is an image.
    """

    def __init__(self, in_channels: int, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.relu(self.conv1(x)))
        return F.avg_pool2d(h, 2) + self.shortcut(F.avg_pool2d(x, 2))


class PlainBlock(nn.Module):
    """(B, C, H, W) -> the same shape: norm, ReLU, 3x3, norm, ReLU, 3x3; the shortcut is the identity."""

    def __init__(self, channels: int, norm: Norm):
        super().__init__()
        self.norm1, self.norm2 = norm_layer(norm, channels), norm_layer(norm, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def residual(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.residual(x)


class DownBlock(PlainBlock):
    """(B, C, H, W) -> (B, C, H/2, W/2): a plain block, average pool; the shortcut is average pool, 1x1.

    A 1x1 convolution and an average pool commute, so pooling first is the same function at a quarter of the cost.
    """

    def __init__(self, channels: int, norm: Norm):
        super().__init__(channels, norm)
        self.shortcut = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.residual(x), 2) + self.shortcut(F.avg_pool2d(x, 2))


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
