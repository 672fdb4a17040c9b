"""Resampling by two through the filter [1, 3, 3, 1], as depthwise convolutions that compute only what is kept.

The filter is symmetric, so that derivatives of any order are these very functions again. Left to itself, autograd would
take the second derivative of a depthwise convolution by the filter too, channel by channel.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TAPS = (1.0, 3.0, 3.0, 1.0)


class _Smooth(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(kernel)
        ctx.padding = padding
        return F.conv2d(x, _of_each(kernel, x), padding=padding, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        return _Smooth.apply(gradient, *ctx.saved_tensors, len(TAPS) - 1 - ctx.padding), None, None


class _Down(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor) -> Tensor:
        ctx.save_for_backward(kernel)
        return F.conv2d(x, _of_each(kernel, x), stride=2, padding=1, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        return _Up.apply(gradient, *ctx.saved_tensors), None


class _Up(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor) -> Tensor:
        ctx.save_for_backward(kernel)
        return F.conv_transpose2d(x, _of_each(kernel, x), stride=2, padding=1, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        return _Down.apply(gradient, *ctx.saved_tensors), None


def _of_each(kernel: Tensor, x: Tensor) -> Tensor:
    """The kernel for every channel of x."""
    return kernel.to(x.dtype).expand(x.shape[1], 1, -1, -1)


class FIR(nn.Module):
    """The separable filter outer(TAPS, TAPS) / 64 over every channel of (B, C, H, W), zeros outside the map."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor(TAPS)
        self.register_buffer("kernel", torch.outer(taps, taps) / taps.sum() ** 2, persistent=False)

    def smooth(self, x: Tensor, padding: int, gain: float = 1.0) -> Tensor:
        """(B, C, H, W) -> (B, C, H + 2 padding - 3, W + 2 padding - 3)."""
        return _Smooth.apply(x, self.kernel * gain, padding)  # type: ignore[return-value]

    def down(self, x: Tensor) -> Tensor:
        """(B, C, H, W), even sides -> (B, C, H / 2, W / 2)."""
        return _Down.apply(x, self.kernel)  # type: ignore[return-value]

    def up(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2 H, 2 W), of the same brightness."""
        return _Up.apply(x, self.kernel * 4)  # type: ignore[return-value]
