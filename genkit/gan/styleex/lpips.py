"""LPIPS of local files: Zhang et al. 2018, arXiv:1801.03924, as version 0.1 of the authors' code measures it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from genkit.core.errors import RecipeError, WeightsError
from genkit.core.frozen import freeze
from genkit.core.precision import full
from genkit.foreign.authors_checkpoint import read_checkpoint
from genkit.gan.styleex.likeness import Likeness, feature_distance

Backbone = Literal["alex", "vgg"]
ENDS = {"alex": ("alexnet", (0, 2, 5, 8, 10, 12)), "vgg": ("vgg16", (0, 4, 9, 16, 23, 30))}
"""torchvision's name, and where its layers are cut: after each ReLU that is compared."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of images in [-1, 1]: ImageNet's mean and deviation."""


class LPIPS(Likeness):
    """Distance of features of an ImageNet network, weighed by channel as people judge likeness. Nothing is downloaded.

    Args:
        backbone: file of torchvision's state dict of the network, safetensors or `torch.save`, which is read without
            running code.
        linear: file of the weights of the channels, `lin0.model.1.weight` to `lin4...`, as the authors publish them.
        net: "alex" for AlexNet, "vgg" for VGG16.

    Raises:
        WeightsError: no such files, or tensors of another network.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: Path, linear: Path, net: Backbone = "alex"):
        super().__init__()
        from torchvision import models

        name, ends = ENDS[net]
        network: Any = models.get_model(name, weights=None).features
        _load(network, backbone, name)
        self.stages = nn.ModuleList(network[start:stop] for start, stop in pairwise(ends))
        widths = [[m for m in stage if isinstance(m, nn.Conv2d)][-1].out_channels for stage in self.stages]  # type: ignore[attr-defined]
        for k, weight in enumerate(_linear(linear, widths)):
            self.register_buffer(f"linear{k}", weight)
        self.register_buffer("shift", torch.tensor(SHIFT).view(3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).view(3, 1, 1))
        freeze(self)

    def check(self, sample_shape: tuple[int, ...]) -> None:
        if sample_shape[0] not in (1, 3):
            raise RecipeError(f"lpips: it compares grey images and colour ones, not of {sample_shape[0]} channels")
        try:
            self.outputs(torch.zeros(1, *sample_shape))
        except RuntimeError as misfit:
            raise RecipeError(f"lpips: {sample_shape[-1]} pixels are too few for its network; take larger") from misfit

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        pairs = enumerate(zip(self.outputs(a), self.outputs(b), strict=True))
        return torch.stack([feature_distance(p, q, getattr(self, f"linear{k}")) for k, (p, q) in pairs]).sum()

    def outputs(self, x: Tensor) -> list[Tensor]:
        """Of each stage, float32."""
        x, found = (x.expand(-1, 3, -1, -1) - self.shift) / self.scale, []
        for stage in self.stages:
            x = stage(x)
            found.append(full(x))
        return found


def _load(network: nn.Module, file: Path, name: str) -> None:
    state = {k.removeprefix("features."): v for k, v in read_checkpoint(file).items() if k.startswith("features.")}
    try:
        network.load_state_dict(state)
    except RuntimeError as misfit:
        raise WeightsError(
            f"{file} does not hold torchvision's {name}, whose keys are features.0.weight, ..."
        ) from misfit


def _linear(file: Path, widths: list[int]) -> list[Tensor]:
    state = read_checkpoint(file)
    found = [state.get(f"lin{k}.model.1.weight", torch.zeros(0)).flatten() for k in range(len(widths))]
    if [len(weight) for weight in found] != widths:
        raise WeightsError(f"{file} does not hold weights lin0.model.1.weight, ... of {widths} channels")
    return found
