"""Points in a file, as `genkit sample` writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genkit.core.arrays import read_npy
from genkit.core.errors import DataError

NAME = "points.npy"
COORDINATES = 2**27
"""Most coordinates of all points in a file."""


def points_file(path: Path) -> Path | None:
    """The .npy file that `path` is, or that holds the points of the folder that it is; None when there is none."""
    return next((p for p in (path, path / NAME) if p.suffix == ".npy" and p.is_file()), None)


def read_points(path: Path) -> Tensor:
    """(N, D) float32, not all of which need be finite.

    Raises:
        DataError: damaged, too large, or of another shape or type.
    """
    try:
        array = read_npy(path, COORDINATES)
    except (ValueError, OSError) as damage:
        raise DataError(f"{path} is no readable .npy file ({damage})") from damage
    if array.ndim != 2 or array.dtype.kind != "f" or not array.size:
        raise DataError(f"{path} holds {array.dtype} {array.shape}; points are floats (N, D)")
    with np.errstate(over="ignore"):  # to infinity
        return torch.from_numpy(array.astype(np.float32))
