"""Batches of samples that are handed over, checked."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genkit.core.errors import DataError
from genkit.images.pixels import to_uint8


def check_batch(x: Tensor, name: str, start: int = 0) -> Tensor:
    """Points (B, D) as they are, images (B, C, H, W) as uint8; floats in [-1, 1] are rounded to 8 bits.

    Raises:
        DataError: another shape, type or range, or not finite, naming the sample.
    """
    where = f"{name}, samples from {start}"
    if x.dim() == 2 and x.is_floating_point():
        if not x.isfinite().all():
            raise DataError(f"{where}: point {int((~x.isfinite()).any(1).nonzero()[0])} is not finite")
        return x
    if x.dim() != 4 or x.shape[1] not in (1, 3) or not x.numel():
        raise DataError(
            f"{where}: batches must be images (B, C, H, W) with C of 1 or 3, or points (B, D), got {tuple(x.shape)}"
        )
    if x.dtype == torch.uint8:
        return x
    if not x.is_floating_point():
        raise DataError(f"{where}: images are uint8 in [0, 255] or floats in [-1, 1], got {x.dtype}")
    try:
        return to_uint8(x)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def samples_of(item: Any) -> Any:
    """The images of (images, labels), or of a Batch."""
    if isinstance(item, (list, tuple)) and item:
        item = item[0]
    return getattr(item, "x", item)
