"""Reconstructors: which direction, and how far, from an image and the shifted one. Voynov & Babenko 2020, Sec. 3.2."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from genkit.core.errors import RecipeError
from genkit.core.pretrained import Pretrained
from genkit.core.system import Terms, descend, observe
from genkit.posthoc.directions.deformators import HowMany

PairSide = Annotated[int, Field(ge=4, le=1024)]
ImageChannels = Annotated[int, Field(ge=1, le=16)]
SMALLEST = 32
"""PairSide length that a LeNet needs: its third convolution finds a map of 5 pixels."""


class Reconstructor(Pretrained, nn.Module, ABC):
    """R: two images (B, C, H, W) around [-1, 1] -> logits (B, K) of the direction, and the strength (B,).

    Args:
        directions: K.
        channels: of one image.
        size: side length of the images.
    """

    def __init__(self, directions: HowMany, channels: ImageChannels, size: PairSide):
        super().__init__()
        self.directions, self.channels, self.size = directions, channels, size

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        return self.channels, self.size, self.size

    def forward(self, x: Tensor, shifted: Tensor) -> tuple[Tensor, Tensor]:
        return self.read(torch.cat([self.prepared(x), self.prepared(shifted)], 1))

    @abstractmethod
    def prepared(self, x: Tensor) -> Tensor:
        """An image of the size that the network takes."""

    @abstractmethod
    def read(self, pair: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 2 C, H, W) -> logits (B, K), strengths (B,)."""


class LeNetReconstructor(Reconstructor):
    """Three convolutions of 5 x 5 with batch norm, the mean over their map, and two heads.

    Args:
        directions, channels, size: as of `Reconstructor`.
        width: factor of the 3, 8 and 60 maps; 2 in the paper's code.
        padded: smaller images get a black border up to this side length; 0 for none.

    Raises:
        RecipeError: images are smaller than 32 pixels and not padded to them.
    """

    def __init__(
        self,
        directions: HowMany,
        channels: ImageChannels = 1,
        size: PairSide = 32,
        width: Annotated[int, Field(ge=1, le=64)] = 2,
        padded: Annotated[int, Field(ge=0, le=1024)] = 0,
    ):
        super().__init__(directions, channels, size)
        if max(size, padded) < SMALLEST:
            raise RecipeError(
                f"padded: a LeNet needs {SMALLEST} pixels, and images have {size}; set padded: {SMALLEST}"
            )
        self.border = max(0, padded - size)
        self.convnet = nn.Sequential(
            *_convolution(2 * channels, 3 * width), nn.MaxPool2d(2, 2),
            *_convolution(3 * width, 8 * width), nn.MaxPool2d(2, 2),
            *_convolution(8 * width, 60 * width),
        )  # fmt: skip
        self.fc_logits = _head(60 * width, 42 * width, directions)
        self.fc_shift = _head(60 * width, 42 * width, 1)

    def prepared(self, x: Tensor) -> Tensor:
        left = self.border // 2
        return pad(x, (left, self.border - left, left, self.border - left), value=-1.0) if self.border else x

    def read(self, pair: Tensor) -> tuple[Tensor, Tensor]:
        features = self.convnet(pair).mean((2, 3))
        return self.fc_logits(features), self.fc_shift(features)[:, 0]


class ResNet18Reconstructor(Reconstructor):
    """A ResNet-18 (He et al. 2016) with the two images as channels, from scratch, and two linear heads.

    Args:
        directions, channels, size: as of `Reconstructor`.
        resized: both images are brought to this side length first, by the nearest pixel; 0 leaves them.
    """

    def __init__(
        self,
        directions: HowMany,
        channels: ImageChannels = 3,
        size: PairSide = 64,
        resized: Annotated[int, Field(ge=0, le=1024)] = 0,
    ):
        super().__init__(directions, channels, size)
        self.resized = resized
        self.features_extractor = ResNet18(2 * channels)
        self.type_estimator = nn.Linear(512, directions)
        self.shift_estimator = nn.Linear(512, 1)

    def prepared(self, x: Tensor) -> Tensor:
        return interpolate(x, self.resized) if self.resized else x

    def read(self, pair: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features_extractor(pair)
        return self.type_estimator(features), self.shift_estimator(features)[:, 0]


class ResNet18(nn.Module):
    """(B, channels, H, W) -> (B, 512), the mean of the last map. Parameters have torchvision's names, without `fc`."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(ResidualBlock(64, 64), ResidualBlock(64, 64))
        self.layer2 = nn.Sequential(ResidualBlock(64, 128), ResidualBlock(128, 128))
        self.layer3 = nn.Sequential(ResidualBlock(128, 256), ResidualBlock(256, 256))
        self.layer4 = nn.Sequential(ResidualBlock(256, 512), ResidualBlock(512, 512))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean((2, 3))


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut; half the side where the channels double."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        stride = outputs // inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.downsample: Callable[[Tensor], Tensor] = shortcut if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + self.downsample(x)).relu()


def _convolution(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 5), nn.BatchNorm2d(outputs), nn.ReLU()


def _head(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, outputs))


def reconstruction(logits: Tensor, guess: Tensor, target: Tensor, eps: Tensor, weight: float = 0.25) -> Terms:
    """CE(k, k^) + weight |e - e^|, Eq. 2; the share of directions that are told is logged beside it."""
    cross_entropy = nn.functional.cross_entropy(logits, target)
    return descend(direction=cross_entropy, strength=weight * (guess - eps).abs().mean()) | observe(
        accuracy=(logits.argmax(1) == target).float().mean()
    )
