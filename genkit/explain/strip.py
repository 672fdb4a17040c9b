"""One attribute from nothing to its full strength, as an animation or a strip of pictures."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from genkit.core.files import write_atomically
from genkit.explain.explanation import Attribute
from genkit.images.grid import grid
from genkit.images.pixels import png_bytes, to_channels, to_uint8

FRAMES, MS = 24, 70
"""Of an animation: steps from nothing to the full strength, and how long each is shown; it runs back the same way."""

COLUMNS = 7
"""Pictures of a strip."""


def strengths(n: int, most: float) -> list[float]:
    """n of them from 0 to `most`."""
    return torch.linspace(0, most, n).tolist()


@torch.no_grad()
def frames(generator: Any, attribute: Attribute, joined: Tensor, end: Tensor, strengths: list[float]) -> Tensor:
    """(len(strengths), B, C, H, W) uint8: images whose attribute is moved by each strength towards its end.

    s' = s + strength (end - s), so 1 reaches the smallest or largest value over the images searched, and more goes on
    beyond it.

    Args:
        generator: see genkit.explain.explainable.Explainable.
        joined: (B, style_dim + K) of the images.
        end: () the value that strength 1 reaches.
    """
    styles, shown = generator.styles_of(joined), []
    for strength in strengths:
        moved = styles[attribute.layer].clone()
        moved[:, attribute.channel] += strength * (end - moved[:, attribute.channel])
        images = generator.pictured_styles({**styles, attribute.layer: moved}).clamp(-1, 1)
        shown.append(to_uint8(images).cpu())
    return torch.stack(shown)


def write_strip(path: Path, shown: Tensor) -> None:
    """`frames` as .png, a row an image and a column a strength, or as .gif or .webp, forth and back for ever.

    Raises:
        CheckpointError: it cannot be written.
    """
    shown = torch.stack([to_channels(images, 3) for images in shown])
    if path.suffix.lower() == ".png":
        rows = rearrange(shown, "s b c h w -> (b s) c h w")
        write_atomically(path, png_bytes(grid(rows, len(shown))))
        return
    pictures = [_picture(images) for images in shown]
    pictures += pictures[-2:0:-1]
    file, kind = io.BytesIO(), path.suffix[1:].upper()
    how: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    pictures[0].save(file, kind, save_all=True, append_images=pictures[1:], duration=MS, loop=0, **how)
    write_atomically(path, file.getvalue())


def _picture(images: Tensor) -> Image.Image:
    """The images of a frame side by side."""
    whole = grid(images, len(images))
    return Image.fromarray(rearrange(whole, "c h w -> h w c").contiguous().numpy())
