"""Pictures for notebooks: images side by side, large enough to see."""

from __future__ import annotations

from PIL import Image
from torch import Tensor

from genkit.images import pixels


def picture(images: Tensor, columns: int | None = None, width: int = 840) -> Image.Image:
    """A Pillow picture of (N, C, H, W) images, uint8 or in [-1, 1], row by row; a notebook shows it.

    Args:
        columns: images a row; None makes it about square.
        width: in pixels; small images are enlarged by the largest whole factor that keeps the picture within a square.

    Raises:
        DataError: as `genkit.images.pixels.grid`.
    """
    columns = min(len(images), columns or max(1, round(len(images) ** 0.5)))
    rows = -(-len(images) // columns)
    times = max(1, width // max(columns * (images.shape[-1] + 2), rows * (images.shape[-2] + 2)))
    large = images.repeat_interleave(times, -1).repeat_interleave(times, -2)
    whole = pixels.grid(large, columns).movedim(0, -1).cpu().numpy()
    return Image.fromarray(whole[:, :, 0] if whole.shape[2] == 1 else whole)
