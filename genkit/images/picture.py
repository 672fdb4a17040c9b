"""Pictures for notebooks: images side by side, large enough to see."""

from __future__ import annotations

from PIL import Image
from torch import Tensor

from genkit.images.grid import grid


def picture(images: Tensor, columns: int | None = None) -> Image.Image:
    """A Pillow picture of (N, C, H, W) images, uint8 or in [-1, 1], row by row; a notebook shows it.

    Args:
        columns: images a row; None makes it about square.

    Raises:
        DataError: as `genkit.images.grid.grid`.
    """
    whole = grid(images, columns).movedim(0, -1).cpu().numpy()
    return Image.fromarray(whole[:, :, 0] if whole.shape[2] == 1 else whole)
