"""The resize rules of published scores: they move features by tens of percent, so every result names its own."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.core.errors import EvaluationError
from genkit.core.precision import wide

CLEAN_FID = 299
MUCH = 16
"""Largest reduction on a GPU, which refuses one whose filter does not fit into the memory of a block."""
PLANES = 2**22
"""Pixels of one channel that are resized at a time, unless a single image has more."""


def clean(images: Tensor, size: int) -> Tensor:
    """(B, C, H, W) in [0, 255] -> (B, C, size, size) float32, as clean-fid (Parmar et al. 2022).

    Antialiased bicubic with Pillow's filter, clipped to [0, 255], not rounded to 8 bits again.
    """
    if images.shape[-2:] == (size, size):
        return images.float()
    planes = images.flatten(0, 1)[:, None]
    resized = torch.cat([_bicubic(some, size) for some in planes.split(_together(planes))])
    channels_last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
    layout = torch.channels_last if channels_last else torch.contiguous_format  # a network's last bits depend on it
    return resized.view(*images.shape[:2], size, size).contiguous(memory_format=layout)


def _bicubic(images: Tensor, size: int) -> Tensor:
    place = images.device if max(images.shape[-2:]) <= MUCH * size else "cpu"
    resized = F.interpolate(wide(images.to(place)), (size, size), mode="bicubic", antialias=True)
    return resized.clamp_(0, 255).float().to(images.device)


def _together(planes: Tensor) -> int:
    """Images that are made float64 at a time, which takes eight times their memory."""
    return max(1, PLANES // math.prod(planes.shape[-2:]))


def tf1(images: Tensor, size: int) -> Tensor:
    """(B, C, H, W) in [0, 255] -> (B, C, size, size) float32, as TensorFlow 1 and torch-fidelity.

    Bilinear between the corners of pixels (pixel i of the result lies at i * H / size), without antialiasing.
    """
    x = images
    for axis in (3, 2):
        low, high, fraction = _positions(x.shape[axis], size, x.device)
        weight = fraction if axis == 3 else fraction[:, None]
        near, far = x.index_select(axis, low).float(), x.index_select(axis, high).float()
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


def clean_fid(images: Tensor, size: int) -> Tensor:
    """(B, 3, H, W) uint8 -> (B, 3, 299, 299) float32 by clean-fid itself, image by image; `clean` to within 1e-4.

    Raises:
        EvaluationError: another size than 299.
    """
    from cleanfid.resize import build_resizer

    if size != CLEAN_FID:
        raise EvaluationError(f"clean-fid resizes to {CLEAN_FID} x {CLEAN_FID} alone, not to {size} x {size}")
    resized = build_resizer("clean")
    planes = [torch.from_numpy(resized(image)) for image in images.permute(0, 2, 3, 1).cpu().numpy()]
    return torch.stack(planes).permute(0, 3, 1, 2).to(images.device)


RESIZES: dict[str, Callable[[Tensor, int], Tensor]] = {"clean": clean, "tf1": tf1, "none": keep}


def _positions(have: int, want: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Lower and upper neighbour and the weight of the upper one, in float32 as TensorFlow computes them."""
    at = torch.arange(want, dtype=torch.float32, device=device) * torch.tensor(have / want, dtype=torch.float32)
    low = at.long()
    return low, (low + 1).clamp(max=have - 1), at - low
