"""The contract of generators that know what is unusual."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class ScoresImages(Protocol):
    """A generator that scores how unusual an image is."""

    def image_scores(self, x: Tensor, *, rng: torch.Generator | None = None) -> Mapping[str, Tensor]:
        """Scores (B,) float64 by name of images (B, *sample_shape) in [-1, 1]; one is `outlier_score`, higher for more
        unusual images. Row i is a function of image i and of the i-th seed from rng.
        """
        ...
