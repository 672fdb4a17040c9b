"""The resize rules of published scores: they move features by tens of percent, so every result names its own."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.errors import EvaluationError


def clean(images: Tensor, size: int) -> Tensor:
    """(B, C, H, W) in [0, 255] -> (B, C, size, size) float32, as clean-fid (Parmar et al. 2022).

    Antialiased bicubic with Pillow's filter, clipped to [0, 255], not rounded to 8 bits again.
    """
    x = images.double()
    if x.shape[-2:] != (size, size):
        x = F.interpolate(x, (size, size), mode="bicubic", antialias=True).clamp_(0, 255)
    return x.float()


def tf1(images: Tensor, size: int) -> Tensor:
    """(B, C, H, W) in [0, 255] -> (B, C, size, size) float32, as TensorFlow 1 and torch-fidelity.

    Bilinear between the corners of pixels (pixel i of the result lies at i * H / size), without antialiasing.
    """
    x = images.float()
    for axis in (3, 2):
        low, high, fraction = _positions(x.shape[axis], size, x.device)
        weight = fraction if axis == 3 else fraction[:, None]
        near, far = x.index_select(axis, low), x.index_select(axis, high)
        x = near + (far - near) * weight
    return x


def keep(images: Tensor, size: int) -> Tensor:
    """No resize: images must have the extractor's size already.

    Raises:
        EvaluationError: they have not.
    """
    if images.shape[-2:] != (size, size):
        height, width = images.shape[-2:]
        raise EvaluationError(f"this extractor takes {size} x {size} images and resizes none, got {width} x {height}")
    return images.float()


RESIZES: dict[str, Callable[[Tensor, int], Tensor]] = {"clean": clean, "tf1": tf1, "none": keep}


def _positions(have: int, want: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Lower and upper neighbour and the weight of the upper one, in float32 as TensorFlow computes them."""
    at = torch.arange(want, dtype=torch.float32, device=device) * torch.tensor(have / want, dtype=torch.float32)
    low = at.long()
    return low, (low + 1).clamp(max=have - 1), at - low
