"""The energy networks of VAEBM (Xiao et al. 2021, arXiv:2010.00654): low where images are likely."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genkit.core.errors import DataError, RecipeError
from genkit.core.known import known
from genkit.core.pretrained import Pretrained
from genkit.layers.arguments import Channels, ImageSize, Width
from genkit.layers.norm import spectral_norm
from genkit.vae.energy.weight_norm import PlainConv2d, WeightNormConv2d

Plan = Literal["mnist", "cifar10", "celeba64", "lsun64", "celeba256"]
PLANS: dict[Plan, str] = {
    "mnist": "1v 1 2v 2",
    "cifar10": "1v 1 2v 2 2v 2",
    "celeba64": "1v 1 2v 2 2v 4 4v 4",
    "lsun64": "1v 1 2v 2 2 2v 4 4 4v 4",
    "celeba256": "1v 1 2v 2 2v 2 4v 4 4v 4 8v 8",
}
"""Residual blocks: the channels of each as a multiple of `width`, v where it halves the image."""

NormKind = Literal["weight", "spectral"]


def lip_swish(a: Tensor) -> Tensor:
    """a sigmoid(a) / 1.1, whose slope is at most 1 (Chen et al. 2019)."""
    return F.silu(a).mul_(1 / 1.1)


class EnergyNetwork(Pretrained, nn.Module):
    """Values (B, C, H, W) in [0, 1] -> energies (B,), unbounded. No norm layers: an energy is of its own image alone.

    A 3x3 convolution, residual blocks, the sum over all pixels, a linear layer.

    Args:
        plan: the blocks of one of the paper's five networks, see `PLANS`.
        size: height and width; any from which halving leaves a pixel.
        width: channels of the first layer. In the paper 128 for CIFAR-10, else 64.
        norm: of convolutions. "weight": a learned norm for every output, which `start` sets from data, and which
            `SpectralPenalty` holds down. "spectral": the largest singular value is 1 (Miyato et al. 2018).

    Raises:
        RecipeError: an image too small for the plan.

    Attributes:
        started: whether `start` was called, also before the network was saved.
    """

    started: Tensor

    def __init__(
        self,
        plan: Plan,
        size: ImageSize = 32,
        channels: Channels = 3,
        width: Width = 64,
        norm: NormKind = "weight",
    ):
        super().__init__()
        self.sample_shape = (channels, size, size)
        blocks = PLANS[plan].split()
        if size < (least := 2 ** PLANS[plan].count("v")):
            raise RecipeError(
                f"size: the plan {plan} halves images down from at least {least} pixels a side, got {size}"
            )
        widths = [width, *(width * int(block.rstrip("v")) for block in blocks)]
        self.stem = _conv(norm, channels, width, 3)
        self.blocks = nn.ModuleList(
            EnergyBlock(norm, *sides, halved=block.endswith("v"))
            for block, sides in zip(blocks, pairwise(widths), strict=True)
        )
        self.head = nn.Linear(widths[-1], 1)
        self.register_buffer("started", torch.tensor(norm == "spectral"))

    def forward(self, x: Tensor) -> Tensor:
        """Energies (B,) of x, with a graph.

        Raises:
            DataError: images of another shape.
        """
        if tuple(x.shape[1:]) != self.sample_shape:
            raise DataError(
                f"this energy is of images (B, {', '.join(map(str, self.sample_shape))}), got {(*x.shape,)}"
            )
        h = lip_swish(self.stem(x))
        for block in self.blocks:
            h = block(h)
        return self.head(h.sum((2, 3))).squeeze(1)

    def start(self, x: Tensor) -> None:
        """Sets norms and biases of all convolutions from values x (B, C, H, W), once: never those of loaded weights.

        Each is set from its inputs after those before it are set.
        """
        if known(self.started):
            return
        hooks = [conv.register_forward_pre_hook(_start) for conv in self._convolutions()]
        try:
            with torch.no_grad():
                self(x)
        finally:
            for hook in hooks:
                hook.remove()
        self.started.fill_(True)

    def weights(self) -> list[Tensor]:
        """The weights of all convolutions, (out, in, k, k) each, with a graph; the linear layer is left out."""
        return [conv.weight for conv in self._convolutions()]

    def _convolutions(self) -> list[WeightNormConv2d | nn.Conv2d]:
        return [m for m in self.modules() if isinstance(m, (WeightNormConv2d, nn.Conv2d))]


class EnergyBlock(nn.Module):
    """(B, inputs, H, W) -> (B, outputs, H, W), or half the size: the mean over 2x2 of the sum of both paths."""

    def __init__(self, norm: NormKind, inputs: int, outputs: int, halved: bool):
        super().__init__()
        self.conv1 = _conv(norm, inputs, outputs, 3)
        self.conv2 = _conv(norm, outputs, outputs, 3, pooled=halved)
        through = not halved and inputs == outputs
        self.skip = nn.Identity() if through else _conv(norm, inputs, outputs, 1, bias=False, pooled=halved)

    def forward(self, x: Tensor) -> Tensor:
        return lip_swish(self.conv2(lip_swish(self.conv1(x))) + self.skip(x))


def _conv(norm: NormKind, inputs: int, outputs: int, kernel: int, bias: bool = True, pooled: bool = False) -> nn.Module:
    if norm == "weight":
        return WeightNormConv2d(inputs, outputs, kernel, bias, pooled)
    return spectral_norm(PlainConv2d(inputs, outputs, kernel, bias, pooled))


def _start(conv: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    assert isinstance(conv, WeightNormConv2d)
    conv.start(inputs[0])
