"""Coordinates of StyleSpace by number: one number a channel of the layers searched."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from genkit.core.errors import GenkitError, suggest
from genkit.core.styled import Styles


class StyleCoordinates:
    """Numbers 0 ... count - 1 of the channels of some layers, those of the first layer first.

    Args:
        channels: of each layer, by its name, in order.
    """

    def __init__(self, channels: Mapping[str, int]):
        self.channels = dict(channels)
        *self._starts, self.count = accumulate(self.channels.values(), initial=0)

    @classmethod
    def of(cls, styles: Styles, layers: Sequence[str]) -> StyleCoordinates:
        """Those of `layers`, by the widths of their styles.

        Raises:
            GenkitError: a layer without a style.
        """
        for name in layers:
            if name not in styles:
                raise GenkitError(f"no layer {name!r} has a style{suggest(name, styles)}")
        return cls({name: styles[name].shape[1] for name in layers})

    def place(self, s: int) -> tuple[str, int]:
        """Layer and channel of coordinate s."""
        if not 0 <= s < self.count:
            raise GenkitError(f"there are coordinates 0 to {self.count - 1}, got {s}")
        k = bisect_right(self._starts, s) - 1
        return list(self.channels)[k], s - self._starts[k]

    def number(self, layer: str, channel: int) -> int:
        """The coordinate of a channel of a layer; undoes `place`."""
        return self.slices[layer].start + channel

    @property
    def slices(self) -> dict[str, slice]:
        """Numbers of each layer's coordinates."""
        return {
            name: slice(start, start + n) for (name, n), start in zip(self.channels.items(), self._starts, strict=True)
        }

    def flat(self, styles: Styles) -> Tensor:
        """The coordinates (B, count) in styles."""
        return torch.cat([styles[name] for name in self.channels], 1)

    def put(self, styles: Styles, flat: Tensor) -> Styles:
        """`styles` with the coordinates (B, count) in their place."""
        return {**styles, **{name: flat[:, part] for name, part in self.slices.items()}}
