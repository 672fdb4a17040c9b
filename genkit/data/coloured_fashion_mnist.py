"""Real garments whose colour, rotation and scale are known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field
from torch import Tensor

from genkit.core.columns.values import Values
from genkit.core.randomness import stable_seed
from genkit.data.dataset import DataSet
from genkit.data.torchvision_sets import FASHION, fashion_mnist
from genkit.images.hue import VALUE, coloured

SIDE, PAD = 32, 2
CHUNK = 4096
COLUMNS: Mapping[str, Values] = {
    "hue": Values(0, 1, cyclic=True),
    "rotation": Values(-30, 30, unit="deg"),
    "scale": Values(0.7, 1),
}


def coloured_fashion_mnist(
    split: Literal["train", "test"] = "train",
    root: Path | None = None,
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0,
    labels: bool = True,
    attributes: bool = True,
) -> DataSet:
    """Fashion-MNIST on 32 x 32 pixels, every garment tinted, rotated and made smaller by numbers that are known.

    Hues are uniform on the circle, rotations in [-30, 30] degrees clockwise, scales in [0.7, 1].

    Args:
        split: 60,000 to train, 10,000 to test.
        root: folder that holds FashionMNIST/raw.
        seed: hue, rotation and scale of image i are a function of it, the split and i.
        labels: False leaves out what the garments are.
        attributes: False leaves out hue, rotation and scale.

    Raises:
        DataError: Fashion-MNIST is not there and not to be downloaded.
    """
    garments = fashion_mnist(split, root, labels=labels)
    rng = torch.Generator().manual_seed(stable_seed("coloured_fashion_mnist", split, seed))
    u = torch.rand(len(garments), len(COLUMNS), generator=rng)
    known = {name: column.low + column.span * u[:, i] for i, (name, column) in enumerate(COLUMNS.items())}
    parts = zip(garments.x.split(CHUNK), *(rows.split(CHUNK) for rows in known.values()), strict=True)
    x = torch.cat([seen(*part) for part in parts])
    data = DataSet(f"coloured_fashion_mnist/{split}", x, garments.labels, FASHION if labels else ())
    return replace(data, attributes=known, columns=COLUMNS, sided=("rotation",)) if attributes else data


def seen(garment: Tensor, hue: Tensor, rotation: Tensor, scale: Tensor) -> Tensor:
    """(n, 3, 32, 32) uint8 of garments (n, 1, 28, 28) uint8; white becomes the colour of the hue, black stays."""
    grey = F.pad(garment.float() / 255, [PAD] * 4)
    angle = rotation * (math.pi / 180)
    cos, sin, zero = angle.cos() / scale, angle.sin() / scale, torch.zeros_like(angle)
    turn = rearrange([cos, sin, zero, -sin, cos, zero], "(row column) n -> n row column", row=2)
    grid = F.affine_grid(turn, [len(grey), 1, SIDE, SIDE], align_corners=False)
    turned = F.grid_sample(grey, grid, align_corners=False)
    return (turned * rearrange(coloured(hue) / VALUE, "n c -> n c 1 1") * 255 + 0.5).to(torch.uint8)
