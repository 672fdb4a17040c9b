"""Pictures for notebooks."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from genkit.images.grid import grid
from genkit.images.picture import picture


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_it_is_the_grid(channels: int, mode: str) -> None:
    images = torch.rand(6, channels, 8, 8) * 2 - 1
    shown, whole = picture(images, columns=3), grid(images, 3)
    assert isinstance(shown, Image.Image) and shown.mode == mode
    assert shown.tobytes() == whole.movedim(0, -1).numpy().tobytes()
