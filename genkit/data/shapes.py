"""Rendered shapes whose factors are all known, in the manner of dSprites and 3D Shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

import torch
from einops import rearrange
from pydantic import Field
from torch import Tensor

from genkit.core.columns.column import Column
from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.errors import DataError
from genkit.core.randomness import stable_seed
from genkit.data.dataset import DataSet
from genkit.images.hue import coloured

SHAPES = ("disc", "square", "triangle", "cross")
ARM = 0.35
"""Half the width of an arm of the cross, in sizes."""

SQUARE = math.sqrt(math.pi) / 2
"""Half the side of a square that covers as much as a disc of radius 1."""

TRIANGLE = math.sqrt(math.pi / (3 * math.sqrt(3)))
"""Distance from the middle to the sides of such an equilateral triangle."""

CROSS = math.sqrt(math.pi / (4 * ARM * (2 - ARM)))
"""Half the length of the arms of such a cross."""

CHUNK = 2048
CLASSES = {"size": ("small", "large"), "hue": ("cyan", "red")}
"""Names of the classes of a label, by the factor that decides it."""

COLUMNS: Mapping[str, Column] = {
    "shape": Labels(len(SHAPES), SHAPES),
    "hue": Values(0, 1, cyclic=True),
    "size": Values(0.3, 0.7),
    "x": Values(-0.25, 0.25),
    "y": Values(-0.25, 0.25),
    "rotation": Values(-0.25, 0.25, unit="rad"),
    "background": Values(0, 0.35),
}


def shapes(
    split: Literal["train", "test"] = "train",
    n: Annotated[int, Field(ge=1, le=1_000_000)] | None = None,
    size: Annotated[int, Field(ge=8, le=256)] = 32,
    correlated: Annotated[float, Field(ge=0, le=1)] = 0.0,
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0,
    attributes: bool = True,
    label: Literal["size", "hue"] | None = None,
    steepness: Annotated[float, Field(ge=0, le=1000)] = 3.0,
    shortcut: Annotated[float, Field(ge=0, le=1)] = 0.0,
) -> DataSet:
    """One coloured shape on grey: disc, square, triangle or cross; hue, size, place, rotation and background are known.

    All factors are drawn uniformly and independently. Lengths are in halves of the image's side, x to the right and y
    down; `size` is the radius of a disc that covers as much as the shape; corners of the largest may leave the image.
    Rotations are clockwise, in radians.

    Args:
        split: each has random numbers of its own.
        n: images; 20,000 to train and 2,000 to test where it is not said.
        size: side length in pixels.
        correlated: the share c of every hue that the shape decides: hue = (shape + 1/2 + (1 - c) 4 (u - 1/2)) / 4 on
            the circle, u uniform. 0: independent; 1: each shape has one hue.
        seed: image i is a function of it, the split and i.
        attributes: False leaves them out.
        label: the factor that the class depends on, and no other: large with probability sigmoid(steepness s), s the
            size in deviations from the middle one; or red, else cyan, s = sqrt(2) cos of the hue's angle.
        steepness: so labels are not certain near the middle; at 3 they agree with the nearer class in 87 %.
        shortcut: share of the images whose hue, where it is on the side of the other class, is turned by half a circle:
            (1 + shortcut) / 2 of all large shapes are then reddish, and of the small ones as many cyanish.

    Raises:
        DataError: a shortcut without a label of size.
    """
    n = n or {"train": 20_000, "test": 2_000}[split]
    if shortcut and label != "size":
        raise DataError("shapes: the shortcut is a hue that tells the label of size; set label: size")
    known = factors(n, correlated, stable_seed("shapes", split, seed))
    u = torch.rand(n, 2, generator=torch.Generator().manual_seed(stable_seed("shapes", "label", split, seed)))
    labels = (u[:, 0] < (steepness * _standing(known, label)).sigmoid()).long() if label else None
    if labels is not None and shortcut:
        known["hue"] = _telling(known["hue"], labels, u[:, 1] < shortcut)
    x = torch.cat([rendered({k: v[i : i + CHUNK] for k, v in known.items()}, size) for i in range(0, n, CHUNK)])
    name = f"shapes/{split}" + (f", hue tied to shape by {correlated:g}" if correlated else "")
    name += f", labelled by {label}" if label else ""
    name += f", hue a shortcut in {shortcut:g}" if shortcut else ""
    data = DataSet(name, x, labels, CLASSES[label] if label else ())
    return replace(data, attributes=known, columns=COLUMNS, sided=("x", "rotation")) if attributes else data


def _standing(known: Mapping[str, Tensor], factor: str) -> Tensor:
    """(n,), of mean 0 and deviation 1: the size, or how red the hue is."""
    if factor == "hue":
        return math.sqrt(2) * (2 * math.pi * known["hue"]).cos()
    column = COLUMNS[factor]
    assert isinstance(column, Values)
    return (known[factor] - (column.low + column.high) / 2) / column.deviation


def _telling(hue: Tensor, labels: Tensor, chosen: Tensor) -> Tensor:
    """Hues, those of `chosen` rows on the side of the label: 1 red, 0 cyan."""
    wrong = ((2 * math.pi * hue).cos() > 0) != labels.bool()
    return COLUMNS["hue"].check("hue", torch.where(chosen & wrong, hue + 0.5, hue), len(hue))


def factors(n: int, correlated: float, seed: int) -> dict[str, Tensor]:
    """n rows of every column of COLUMNS, row i a function of the seed and i."""
    rng = torch.Generator().manual_seed(seed)
    u = torch.rand(n, len(COLUMNS), generator=rng, dtype=torch.float64)
    known = dict[str, Tensor]()
    for draw, (name, column) in zip(u.unbind(1), COLUMNS.items(), strict=True):
        if isinstance(column, Labels):
            known[name] = (draw * column.classes).long()
        elif isinstance(column, Values):
            known[name] = (column.low + column.span * draw).float().clamp(column.low, column.high)
    count = len(SHAPES)
    hue = (known["shape"] + 0.5 + (1 - correlated) * count * (u[:, 1] - 0.5)) / count
    return known | {"hue": COLUMNS["hue"].check("hue", hue if correlated else u[:, 1], n)}


def rendered(known: Mapping[str, Tensor], size: int) -> Tensor:
    """(n, 3, size, size) uint8 of n rows of every factor; edges are ramps one pixel wide across the signed distance."""
    covered = (0.5 - distances(known, size) * size / 2).clamp(0, 1)
    colour, grey = coloured(known["hue"]), known["background"]
    background = rearrange(grey, "n -> n 1 1 1")
    image = background + rearrange(covered, "n h w -> n 1 h w") * (rearrange(colour, "n c -> n c 1 1") - background)
    return (image * 255 + 0.5).to(torch.uint8)


def distances(known: Mapping[str, Tensor], size: int) -> Tensor:
    """(n, size, size): from the middle of every pixel to the edge, negative inside, in halves of the image's side."""
    line = (torch.arange(size) + 0.5) * 2 / size - 1
    turn = rearrange(known["rotation"], "n -> n 1 1")
    right = rearrange(line, "w -> 1 1 w") - rearrange(known["x"], "n -> n 1 1")
    down = rearrange(line, "h -> 1 h 1") - rearrange(known["y"], "n -> n 1 1")
    p, q = turn.cos() * right + turn.sin() * down, turn.cos() * down - turn.sin() * right
    found, radius = torch.empty(len(turn), size, size), rearrange(known["size"], "n -> n 1 1")
    for number, distance in enumerate((_disc, _square, _triangle, _cross)):
        mine = known["shape"] == number
        found[mine] = distance(p[mine], q[mine], radius[mine])
    return found


def _disc(p: Tensor, q: Tensor, radius: Tensor) -> Tensor:
    return torch.hypot(p, q) - radius


def _box(p: Tensor, q: Tensor, width: Tensor, height: Tensor) -> Tensor:
    """Of a rectangle of these half sides."""
    a, b = p.abs() - width, q.abs() - height
    return torch.hypot(a.clamp_min(0), b.clamp_min(0)) + torch.maximum(a, b).clamp_max(0)


def _square(p: Tensor, q: Tensor, radius: Tensor) -> Tensor:
    return _box(p, q, SQUARE * radius, SQUARE * radius)


def _triangle(p: Tensor, q: Tensor, radius: Tensor) -> Tensor:
    """Equilateral, a corner up: the farthest of its three sides, exact but beyond a corner."""
    slope = math.sqrt(3) / 2 * p.abs() - q / 2
    return torch.maximum(q, slope) - TRIANGLE * radius


def _cross(p: Tensor, q: Tensor, radius: Tensor) -> Tensor:
    """Two rectangles; inside, the distance to the nearer one's edge."""
    long, arm = CROSS * radius, CROSS * ARM * radius
    return torch.minimum(_box(p, q, long, arm), _box(p, q, arm, long))
