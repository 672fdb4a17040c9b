"""Random changes of images that a critic can be shown: Karras et al. 2020b, arXiv:2006.06676, App. B.

Each kind of change befalls an image with probability p; moves of pixels and of colours are collected in one matrix an
image, and done at once. Everything can be differentiated twice, and all randomness is by rows.
"""

from __future__ import annotations

from functools import cache
from math import pi

import torch
from einops import rearrange
from torch import Tensor

from genkit.core.processes import network_normal, network_uniform

SYM6 = (
    *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633),
    *(0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252),
    *(-0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
)
"""A wavelet's low-pass filter, orthogonal to its even shifts: up by it and down again changes nothing."""
PEAK = 5
"""Index of the filter's tap that lies on the pixel itself."""
TRANSLATION, SCALE, ROTATION = 0.125, 0.2, pi
BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.5, 1.0
"""Strengths of the authors' code."""


def _if(x: Tensor, p: Tensor, drawn: Tensor, otherwise: float) -> Tensor:
    """`drawn` (B, ...) for rows that are chosen with probability p, else `otherwise`, which changes nothing."""
    chosen = network_uniform(x, dtype=torch.float32) < p
    return torch.where(chosen.view(-1, *[1] * (drawn.dim() - 1)), drawn, torch.full_like(drawn, otherwise))


def _uniform(x: Tensor, *shape: int) -> Tensor:
    """(B, *shape) on [-1, 1)."""
    return 2 * network_uniform(x, *shape, dtype=torch.float32) - 1


def _normal(x: Tensor, *shape: int) -> Tensor:
    return network_normal(x, *shape).float()


def _choice(x: Tensor, n: int) -> Tensor:
    return (n * network_uniform(x, dtype=torch.float32)).floor()


def _matrix(rows: list[list[Tensor | float]]) -> Tensor:
    """(B, n, n) of numbers (B,), or equal in all rows."""
    like = next(value for row in rows for value in row if isinstance(value, Tensor))
    made = [[v if isinstance(v, Tensor) else torch.full_like(like, v) for v in row] for row in rows]
    return torch.stack([torch.stack(row, 1) for row in made], 1)


def _scaled(x: Tensor, y: Tensor) -> Tensor:
    return _matrix([[1 / x, 0.0, 0.0], [0.0, 1 / y, 0.0], [0.0, 0.0, 1.0]])


def _turned(angle: Tensor) -> Tensor:
    cos, sin = angle.cos(), angle.sin()
    return _matrix([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])


def _moved(by: Tensor) -> Tensor:
    """`by`: (B, 2), pixels."""
    return _matrix([[1.0, 0.0, -by[:, 0]], [0.0, 1.0, -by[:, 1]], [0.0, 0.0, 1.0]])


def blits(x: Tensor, p: Tensor) -> Tensor:
    """Mirror images, quarter turns, moves by whole pixels: (B, 3, 3) from a pixel of the result to where it comes from,
    in pixels from the middle."""
    size = x.shape[3]
    flip = _scaled(_if(x, p, 1 - 2 * _choice(x, 2), 1.0), torch.ones(len(x), device=x.device))
    turn = _turned(_if(x, p, pi / 2 * _choice(x, 4), 0.0))
    return flip @ turn @ _moved(_if(x, p, (TRANSLATION * size * _uniform(x, 2)).round(), 0.0))


def warps(x: Tensor, p: Tensor) -> Tensor:
    """Scale, turn, stretch, turn, move: as `blits`."""
    some = 1 - (1 - p).clamp(0, 1).sqrt()  # of two turns: one at least with probability p
    scale = _if(x, p, (SCALE * _normal(x)).exp2(), 1.0)
    first = _turned(_if(x, some, ROTATION * _uniform(x), 0.0))
    stretch = _if(x, p, (SCALE * _normal(x)).exp2(), 1.0)
    second = _turned(_if(x, some, ROTATION * _uniform(x), 0.0))
    move = _moved(_if(x, p, TRANSLATION * x.shape[3] * _normal(x, 2), 0.0))
    return _scaled(scale, scale) @ first @ _scaled(stretch, 1 / stretch) @ second @ move


def colours(x: Tensor, p: Tensor) -> Tensor:
    """Brightness, contrast, inverted brightness, hue, saturation: (B, 4, 4), of (red, green, blue, 1)."""
    eye, axis = torch.eye(4, device=x.device), torch.tensor([1.0, 1.0, 1.0, 0.0], device=x.device) / 3**0.5
    grey = torch.outer(axis, axis)
    brightness = _if(x, p, BRIGHTNESS * _normal(x), 0.0)
    contrast = _if(x, p, (CONTRAST * _normal(x)).exp2(), 1.0)
    c = _matrix([[1.0 if i == j else brightness if j == 3 and i < 3 else 0.0 for j in range(4)] for i in range(4)])
    c = _matrix([[contrast if i == j < 3 else float(i == j) for j in range(4)] for i in range(4)]) @ c
    c = (eye - 2 * grey * _if(x, p, _choice(x, 2), 0.0)[:, None, None]) @ c
    angle = _if(x, p, pi * _uniform(x), 0.0)[:, None, None]
    saturation = _if(x, p, (SATURATION * _normal(x)).exp2(), 1.0)[:, None, None]
    if x.shape[1] == 1:
        return c
    around = torch.zeros(4, 4, device=x.device)
    around[:3, :3] = (torch.eye(3).roll(1, 0) - torch.eye(3).roll(1, 1)).to(x.device) / 3**0.5
    off_axis = eye - grey
    c = (grey + angle.cos() * off_axis + angle.sin() * around + (1 - angle.cos()) * torch.diag(eye[3])) @ c
    return (grey + torch.diag(eye[3]) + saturation * (off_axis - torch.diag(eye[3]))) @ c


def recoloured(x: Tensor, matrices: Tensor) -> Tensor:
    """x (B, 1 or 3, H, W) with its colours changed by `colours`; grey is the mean of the three results."""
    if x.shape[1] == 1:
        matrices = matrices[:, :3].mean(1, keepdim=True)
        matrices = torch.cat([matrices[:, :, :3].sum(2, keepdim=True), matrices[:, :, 3:]], 2)
    matrices = matrices[:, : x.shape[1]].to(x.dtype)
    flat = matrices[:, :, :-1] @ rearrange(x, "b c h w -> b c (h w)") + matrices[:, :, -1:]
    return flat.view_as(x)


def warped(x: Tensor, matrices: Tensor) -> Tensor:
    """x (B, C, H, H) moved by `blits` and `warps`, (B, 3, 3), on a grid twice as fine; outside of it lie mirror images.

    Unlike the authors' code, which mirrors once and has zeros beyond, the mirror images go on without end.
    """
    up = fine_grid(x.shape[3]).to(x)
    fine = up @ x @ up.T
    sampled = _bilinear(fine, _sources(matrices, x.shape[3]))
    down = up_filter(x.shape[3]).to(x)
    return down @ sampled @ down.T


@cache
def up_filter(size: int) -> Tensor:
    """(size, 2 size + 10): weights of the points -PEAK, ... of the finer grid in each pixel."""
    taps = torch.tensor(SYM6, dtype=torch.float64) / 2**0.5
    found = torch.zeros(size, 2 * size + 2 * PEAK, dtype=torch.float64)
    for i in range(size):
        found[i, 2 * i : 2 * i + len(SYM6)] = taps
    return found


@cache
def fine_grid(size: int) -> Tensor:
    """(2 size + 10, size): points of the finer grid of pixels, and of their mirror images about the outermost ones."""
    wide = 2 * up_filter(size + 2 * PEAK + 2).T[2 * PEAK + 2 : -2 * PEAK - 2]
    place = mirrored(torch.arange(-PEAK - 1, size + PEAK + 1), size)
    return torch.zeros(len(wide), size, dtype=torch.float64).index_add_(1, place, wide)


def mirrored(index: Tensor, size: int) -> Tensor:
    """Whole numbers as places 0, ..., size - 1, to and fro."""
    period = max(1, 2 * (size - 1))
    index = index.remainder(period)
    return torch.minimum(index, period - index)


def _sources(matrices: Tensor, size: int) -> Tensor:
    """Source of each point of the finer grid, (B, 2, n, n): x and y, counted in its points from pixel 0."""
    middle = (size - 1) / 2
    at = (torch.arange(-PEAK, 2 * size + PEAK, device=matrices.device) / 2 - middle).to(matrices.dtype)
    every = torch.ones_like(at)
    points = torch.stack([torch.outer(every, at), torch.outer(at, every), torch.outer(every, every)])
    found = matrices[:, :2] @ points.flatten(1)
    return rearrange((found + middle) * 2, "b two (h w) -> b two h w", h=len(at))


def _bilinear(fine: Tensor, at: Tensor) -> Tensor:
    """fine (B, C, n, n) at places (B, 2, n, n). By gather: torch's grid_sample cannot be differentiated twice."""
    whole = at.floor()
    share = (at - whole).to(fine.dtype)[:, None]
    low, n = whole.long(), fine.shape[3]
    flat = fine.flatten(2)

    def corner(x: int, y: int) -> Tensor:
        place = _inside(low[:, 1] + y, n) * n + _inside(low[:, 0] + x, n)
        return flat.gather(2, place.flatten(1)[:, None].expand(-1, fine.shape[1], -1)).view(*fine.shape)

    right, below = share[:, :, 0], share[:, :, 1]
    top = corner(0, 0).lerp(corner(1, 0), right)
    return top.lerp(corner(0, 1).lerp(corner(1, 1), right), below)


def _inside(index: Tensor, n: int) -> Tensor:
    """Places in a row of the finer grid, n points from -PEAK on, of any whole number: itself or its mirror image."""
    size = n - 2 * PEAK - 1  # of points 0, ..., 2 (pixels - 1)
    beyond = (index < -PEAK) | (index >= n - PEAK)
    return torch.where(beyond, mirrored(index, size), index) + PEAK
