"""Pictures of an explanation: an image, its reconstruction, the changed one, and where they differ."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genkit.images.pixels import data_url, encoded_png, png_bytes, to_channels

BRIGHTER, DARKER = (214, 110, 20), (38, 108, 190)
"""Colours of a pixel that has become brighter or darker, seen well on white and on black."""

LEAST_FULL = 0.2
"""Share of the range of pixels that a difference must reach to be drawn in full colour."""


def difference(before: Tensor, after: Tensor) -> Tensor:
    """Two images (C, H, W) uint8 -> (4, H, W) uint8: red, green, blue and how opaque.

    A pixel is as opaque as it has changed (its largest channel), in full where that is `full_colour` of the range. Its
    colour says whether it has become brighter or darker.
    """
    size = (after.float() - before.float()).abs().amax(0)
    grey = [to_channels(image, 1)[0].float() for image in (before, after)]
    brighter = (grey[1] >= grey[0]).float()
    colours = [brighter * a + (1 - brighter) * b for a, b in zip(BRIGHTER, DARKER, strict=True)]
    opaque = size / full_colour(before, after)
    return torch.stack([*colours, opaque]).round().to(torch.uint8)


def full_colour(before: Tensor, after: Tensor) -> float:
    """The change that `difference` draws in full colour, as a share of the range: the largest, and LEAST_FULL at least.

    Such a picture is amplified by 1 / that.
    """
    return max(LEAST_FULL, (after.float() - before.float()).abs().max().item() / 255)


def on_white(picture: Tensor) -> Tensor:
    """(4, H, W) with an opacity -> (3, H, W)."""
    colour, opaque = picture[:3].float(), picture[3:].float() / 255
    return (opaque * colour + (1 - opaque) * 255).round().to(torch.uint8)


def url(image: Tensor) -> str:
    """A picture (C, H, W) uint8 of 1, 3 or 4 channels as an address inside a page."""
    if image.shape[0] != 4:
        return data_url(png_bytes(image))
    return data_url(encoded_png(Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()))))
