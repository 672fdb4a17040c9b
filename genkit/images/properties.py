"""Properties that pixels show: brightness, area, aspect and place of what stands out, hue and saturation."""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.images.hue import chroma_of, hue_of
from genkit.images.pixels import to_unit

CYCLIC = ("hue",)
"""Properties that are the same a turn of 1 further."""


def properties(x: Tensor) -> dict[str, Tensor]:
    """Name -> (n,) of images (n, C, H, W) in [-1, 1].

    - brightness: mean of all pixels, in [0, 1];
    - area: share of the pixels that stand out: half as far from the border's mean colour as the one that is farthest;
    - aspect: height by width, as standard deviations of the places of what stands out, each pixel weighted by how far;
    - across, down: the mean of these places, from -1 at the left or upper edge to 1;
    - hue and saturation, of colour images: of the mean of all pixels weighted by their chroma, and the mean chroma.
    """
    x = to_unit(x)
    out = standing_out(x)
    found = {"brightness": x.mean((1, 2, 3)), "area": (out > 0.5).float().mean((1, 2))}
    found |= _place(out)
    if x.shape[1] == 3:
        chroma = chroma_of(x)
        found |= {"hue": hue_of((x * chroma[:, None]).sum((2, 3))), "saturation": chroma.mean((1, 2))}
    return found


def border(x: Tensor) -> Tensor:
    """The outermost pixels of images (n, C, H, W), as (n, C, pixels)."""
    edge = torch.ones(x.shape[2:], dtype=torch.bool, device=x.device)
    edge[1:-1, 1:-1] = False
    return x[:, :, edge]


def standing_out(x: Tensor) -> Tensor:
    """(n, H, W) in [0, 1]: distance of each pixel's colour from the mean of the border, 1 at the largest."""
    apart = (x - border(x).mean(2)[:, :, None, None]).abs().amax(1)
    return apart / apart.amax((1, 2), keepdim=True).clamp_min(1e-6)


def _place(weight: Tensor) -> dict[str, Tensor]:
    """Mean and spread of places weighted by (n, H, W)."""
    share = weight / weight.sum((1, 2), keepdim=True).clamp_min(1e-6)
    down, across = (torch.linspace(-1, 1, side, device=weight.device) for side in weight.shape[1:])
    rows, columns = share.sum(2), share.sum(1)
    middle = {"across": columns @ across, "down": rows @ down}
    height = (rows * (down - middle["down"][:, None]).square()).sum(1).sqrt()
    width = (columns * (across - middle["across"][:, None]).square()).sum(1).sqrt()
    return {"aspect": height / width.clamp_min(1e-6), **middle}


def change(name: str, before: Tensor, after: Tensor) -> Tensor:
    """By how much a property has changed; the shorter way round where it is cyclic."""
    apart = after - before
    return (apart + 0.5) % 1 - 0.5 if name in CYCLIC else apart
