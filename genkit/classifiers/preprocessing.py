"""Preparation of images as a classifier of other origin expects them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from genkit.core.conversion import SharedArguments
from genkit.core.errors import RecipeError
from genkit.images.pixels import to_unit


@dataclass(frozen=True)
class Preprocessing(SharedArguments):
    """Images in [-1, 1], (B, C, H, W) -> what a classifier takes: resized, brought to a range, normalised.

    Attributes:
        grey: images have one channel, else three.
        input_size: side length that the classifier takes; 0 is that of the images.
        range: of a black and of a white pixel, before mean and std.
        mean: subtracted, one number a channel or one for all, in units of `range`; empty subtracts nothing.
        std: what is left is divided by this; empty divides by nothing.

    Raises:
        RecipeError: another number of means than channels, an std that is not above 0, or an empty range.
    """

    grey: bool = False
    input_size: Annotated[int, Field(ge=0, le=1024)] = 0
    range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) not in (0, 1, self.channels):
                wanted = (
                    "3 numbers, or one for all channels, are needed" if self.channels > 1 else "one number is needed"
                )
                raise RecipeError(f"{name}: {wanted}; got {len(numbers)}")
        if not all(number > 0 for number in self.std):
            raise RecipeError(f"std: numbers above 0 are needed, got {list(self.std)}")
        if self.range[0] == self.range[1]:
            raise RecipeError(f"range: black and white differ, got {list(self.range)}")

    @property
    def channels(self) -> int:
        return 1 if self.grey else 3

    def __call__(self, x: Tensor) -> Tensor:
        """(B, C, input_size, input_size), with a graph."""
        low, high = self.range
        x = low + (high - low) * to_unit(x)
        if self.input_size and x.shape[-1] != self.input_size:
            size = (self.input_size, self.input_size)
            x = F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True)
        if self.mean:
            x = x - _of_channels(x, self.mean)
        return x / _of_channels(x, self.std) if self.std else x


def _of_channels(x: Tensor, numbers: Sequence[float]) -> Tensor:
    return x.new_tensor(numbers).view(-1, 1, 1)
