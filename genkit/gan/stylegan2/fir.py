"""Resampling by two through the filter [1, 3, 3, 1], as depthwise convolutions that compute only what is kept."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TAPS = (1.0, 3.0, 3.0, 1.0)


class FIR(nn.Module):
    """The separable filter outer(TAPS, TAPS) / 64 over every channel of (B, C, H, W), zeros outside the map."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor(TAPS)
        self.register_buffer("kernel", torch.outer(taps, taps) / taps.sum() ** 2, persistent=False)

    def smooth(self, x: Tensor, padding: int, gain: float = 1.0) -> Tensor:
        """(B, C, H, W) -> (B, C, H + 2 padding - 3, W + 2 padding - 3)."""
        return F.conv2d(x, self._of(x, gain), padding=padding, groups=x.shape[1])

    def down(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H / 2, W / 2)."""
        return F.conv2d(x, self._of(x), stride=2, padding=1, groups=x.shape[1])

    def up(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2 H, 2 W), of the same brightness."""
        return F.conv_transpose2d(x, self._of(x, 4.0), stride=2, padding=1, groups=x.shape[1])

    def _of(self, x: Tensor, gain: float = 1.0) -> Tensor:
        return (self.kernel * gain).expand(x.shape[1], 1, -1, -1)
