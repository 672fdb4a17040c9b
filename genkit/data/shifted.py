"""A shifted domain: the same images, seen otherwise."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field
from torch import Tensor

from genkit.core.errors import DataError
from genkit.data.dataset import DataSet

CHUNK = 4096
PATCHES = 3
"""Colours along a side of a background; those between are interpolated."""

Background = Literal["none", "blended"]


def shifted(
    data: DataSet,
    rotation: Annotated[float, Field(ge=-180, le=180)] = 0.0,
    inverted: bool = False,
    background: Background = "none",
    noise: Annotated[float, Field(ge=0, le=1)] = 0.0,
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0,
) -> DataSet:
    """`data` with every image changed alike, in the order of the arguments; labels stay, attributes are dropped.

    Args:
        data: images.
        rotation: degrees counter-clockwise about the middle, bilinear; pixels from outside are black.
        inverted: light for dark.
        background: "blended" takes the absolute difference of the image and a random smooth background of its own,
            coloured where there are three channels. MNIST-M of Ganin and Lempitsky 2015, arXiv:1409.7495, does so with
            photographs.
        noise: standard deviation of Gaussian noise on intensities in [0, 1], which are cut to that range.
        seed: of backgrounds and noise.

    Raises:
        DataError: the data are points.
    """
    if data.x.dim() != 4:
        raise DataError(f"shifted: {data.name} holds points; only images are shifted")
    rng = torch.Generator().manual_seed(seed)
    parts = []
    for part in data.x.split(CHUNK):
        x = part.float() / 255
        x = _rotated(x, rotation) if rotation else x
        x = 1 - x if inverted else x
        x = (x - _backgrounds(x, rng)).abs() if background == "blended" else x
        x = x + noise * torch.randn(x.shape, generator=rng) if noise else x
        parts.append((x.clamp(0, 1) * 255).round().to(torch.uint8))
    changes = {"rotated": rotation, "inverted": inverted, "blended": background == "blended", "noisy": noise}
    name = " ".join([data.name, *(word for word, there in changes.items() if there)])
    return DataSet(name, torch.cat(parts), data.labels, data.classes, data.report, data.unlabelled, files=data.files)


def _rotated(x: Tensor, degrees: float) -> Tensor:
    angle = math.radians(degrees)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle), 0.0], [math.sin(angle), math.cos(angle), 0.0]])
    grid = F.affine_grid(turn.expand(len(x), 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def _backgrounds(x: Tensor, rng: torch.Generator) -> Tensor:
    """One for each image, of its shape, in [0, 1]."""
    n, channels, height, width = x.shape
    colours = rearrange(
        torch.rand(n, channels * PATCHES**2, generator=rng), "n (c h w) -> n c h w", c=channels, h=PATCHES
    )
    return F.interpolate(colours, (height, width), mode="bilinear", align_corners=True)
