"""The Inception network of FID, KID and IS: Inception-v3 of 2015-12-05, ported from TensorFlow (Heusel et al. 2017).

It differs from torchvision's: average pools leave padding out, the last block pools by maximum, 1008 classes. Batch
norm is folded into the convolutions once the weights are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from genkit.core.files import sha256_of_file
from genkit.evaluation.extractors.extractor import Extractor
from genkit.evaluation.extractors.resize import clean_fid
from genkit.evaluation.extractors.weights_file import find_or_download, load_state

SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of the 95,628,359 bytes that pytorch-fid and torch-fidelity publish."""

URLS = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
)
FILE = "pt_inception-2015-12-05-6726825d.pth"


def inception(weights: str | Path | None = None) -> Extractor:
    """Features (2048) and logits (1008, without bias, as all tools take them) after TensorFlow 1's resize to 299.

    Args:
        weights: a local file, torch or safetensors; None looks in the cache, then downloads and checks the hash. Only
            the published file makes scores that are called FID; others carry their hash in the name.

    Raises:
        EvaluationError: no weights to be had.
        WeightsError: a damaged file or another network's.
    """
    return _extractor("inception", *_read(weights), resize="tf1")


def inception_clean(weights: str | Path | None = None) -> Extractor:
    """The same with clean-fid's resize, for scores comparable with clean-fid's: FID/clean."""
    return _extractor("inception/clean", *_read(weights), resize="clean", resizer=clean_fid)


def clean_without_weights() -> Extractor:
    """`inception_clean()` before its weights are read: all but the network."""
    return _extractor("inception/clean", nn.Identity(), SHA256, resize="clean", resizer=clean_fid)


def _read(weights: str | Path | None) -> tuple[nn.Module, str]:
    """The network and the hash of its file."""
    path = Path(weights) if weights else find_or_download(FILE, URLS, SHA256, "inception")
    with torch.device("meta"):
        network = FIDInception()
    load_state(network, path)
    return network.folded(), sha256_of_file(path)


def _extractor(name: str, network: nn.Module, digest: str, **resizing: Any) -> Extractor:
    published = digest == SHA256
    return Extractor(
        name if published else f"{name}#{digest[:8]}",
        network,
        digest,
        channels=3,
        size=299,
        offset=128.0,
        scale=128.0,
        published=published,
        logits=True,
        **resizing,
    )


class FIDInception(nn.Module):
    """(B, 3, 299, 299) in about [-1, 1] -> features (B, 2048) and logits (B, 1008). Submodules as in the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3, padding=0)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3, padding=0)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _block_a(192, 32), _block_a(256, 64), _block_a(288, 64)
        self.Mixed_6a = _block_b(288)
        self.Mixed_6b, self.Mixed_6c = _block_c(768, 128), _block_c(768, 160)
        self.Mixed_6d, self.Mixed_6e = _block_c(768, 160), _block_c(768, 192)
        self.Mixed_7a = _block_d(768)
        self.Mixed_7b, self.Mixed_7c = _block_e(1280, "average"), _block_e(2048, "maximum")
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = F.max_pool2d(x, 3, 2)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, 2)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        features = x.mean((2, 3))
        return features, features @ self.fc.weight.T

    def folded(self) -> FIDInception:
        """Self, with batch norm inside the convolutions and pixels' channels last: twice as fast on a CPU."""
        for module in list(self.modules()):
            if isinstance(module, Conv):
                module.conv, module.bn = fuse_conv_bn_eval(module.conv.eval(), module.bn.eval()), nn.Identity()  # type: ignore[assignment]
        return self.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]


class Conv(nn.Module):
    """Convolution, batch norm, ReLU. Same padding at stride 1 and none at stride 2, unless it is given."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1, padding: int | None = None
    ):
        super().__init__()
        height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        same = (height // 2, width // 2) if stride == 1 else (0, 0)
        pad = same if padding is None else (padding, padding)
        self.conv = nn.Conv2d(inputs, outputs, (height, width), stride, pad, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


POOLS = {
    "average": partial(F.avg_pool2d, kernel_size=3, stride=1, padding=1, count_include_pad=False),
    "maximum": partial(F.max_pool2d, kernel_size=3, stride=1, padding=1),
    "halve": partial(F.max_pool2d, kernel_size=3, stride=2),
}


Steps = Sequence[str | tuple[str, str]]
"""Names of convolutions or `POOLS`; a pair of names forks."""


class Mixed(nn.Module):
    """Parallel paths over one input, concatenated.

    Args:
        convs: name -> convolution.
        paths: the steps of each.
    """

    def __init__(self, convs: Mapping[str, Conv], paths: Sequence[Steps]):
        super().__init__()
        for name, conv in convs.items():
            self.add_module(name, conv)
        self.paths = paths

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self._walk(path, x) for path in self.paths], 1)

    def _walk(self, path: Steps, x: Tensor) -> Tensor:
        for step in path:
            if isinstance(step, tuple):
                x = torch.cat([self.get_submodule(name)(x) for name in step], 1)
            else:
                x = POOLS[step](x) if step in POOLS else self.get_submodule(step)(x)
        return x


def _block_a(inputs: int, pool_features: int) -> Mixed:
    convs = {
        "branch1x1": Conv(inputs, 64, 1),
        "branch5x5_1": Conv(inputs, 48, 1),
        "branch5x5_2": Conv(48, 64, 5),
        "branch3x3dbl_1": Conv(inputs, 64, 1),
        "branch3x3dbl_2": Conv(64, 96, 3),
        "branch3x3dbl_3": Conv(96, 96, 3),
        "branch_pool": Conv(inputs, pool_features, 1),
    }
    return Mixed(convs, (["branch1x1"], _numbered("branch5x5", 2), _numbered("branch3x3dbl", 3), _pooled("average")))


def _block_b(inputs: int) -> Mixed:
    convs = {
        "branch3x3": Conv(inputs, 384, 3, stride=2),
        "branch3x3dbl_1": Conv(inputs, 64, 1),
        "branch3x3dbl_2": Conv(64, 96, 3),
        "branch3x3dbl_3": Conv(96, 96, 3, stride=2),
    }
    return Mixed(convs, (["branch3x3"], _numbered("branch3x3dbl", 3), ["halve"]))


def _block_c(inputs: int, c7: int) -> Mixed:
    row, column = (1, 7), (7, 1)
    convs = {
        "branch1x1": Conv(inputs, 192, 1),
        "branch7x7_1": Conv(inputs, c7, 1),
        "branch7x7_2": Conv(c7, c7, row),
        "branch7x7_3": Conv(c7, 192, column),
        "branch7x7dbl_1": Conv(inputs, c7, 1),
        "branch7x7dbl_2": Conv(c7, c7, column),
        "branch7x7dbl_3": Conv(c7, c7, row),
        "branch7x7dbl_4": Conv(c7, c7, column),
        "branch7x7dbl_5": Conv(c7, 192, row),
        "branch_pool": Conv(inputs, 192, 1),
    }
    return Mixed(convs, (["branch1x1"], _numbered("branch7x7", 3), _numbered("branch7x7dbl", 5), _pooled("average")))


def _block_d(inputs: int) -> Mixed:
    convs = {
        "branch3x3_1": Conv(inputs, 192, 1),
        "branch3x3_2": Conv(192, 320, 3, stride=2),
        "branch7x7x3_1": Conv(inputs, 192, 1),
        "branch7x7x3_2": Conv(192, 192, (1, 7)),
        "branch7x7x3_3": Conv(192, 192, (7, 1)),
        "branch7x7x3_4": Conv(192, 192, 3, stride=2),
    }
    return Mixed(convs, (_numbered("branch3x3", 2), _numbered("branch7x7x3", 4), ["halve"]))


def _block_e(inputs: int, pool: str) -> Mixed:
    row, column = (1, 3), (3, 1)
    convs = {
        "branch1x1": Conv(inputs, 320, 1),
        "branch3x3_1": Conv(inputs, 384, 1),
        "branch3x3_2a": Conv(384, 384, row),
        "branch3x3_2b": Conv(384, 384, column),
        "branch3x3dbl_1": Conv(inputs, 448, 1),
        "branch3x3dbl_2": Conv(448, 384, 3),
        "branch3x3dbl_3a": Conv(384, 384, row),
        "branch3x3dbl_3b": Conv(384, 384, column),
        "branch_pool": Conv(inputs, 192, 1),
    }
    forked: Steps = ["branch3x3_1", ("branch3x3_2a", "branch3x3_2b")]
    doubled: Steps = ["branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b")]
    return Mixed(convs, (["branch1x1"], forked, doubled, _pooled(pool)))


def _numbered(name: str, count: int) -> list[str]:
    return [f"{name}_{i + 1}" for i in range(count)]


def _pooled(pool: str) -> list[str]:
    return [pool, "branch_pool"]
