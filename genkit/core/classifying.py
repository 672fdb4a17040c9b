"""What a classifier is to the rest: something that can be right or wrong about labelled images."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Classifying(Protocol):
    """Scored by its accuracy."""

    @property
    def device(self) -> torch.device: ...

    def right(self, x: Tensor, label: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """Whether each image of x (B, C, H, W) in [-1, 1] is classified right, (B,) bool; the first name is "accuracy".

        A classifier of noisy images also answers for each of its noise levels.
        """
        ...
