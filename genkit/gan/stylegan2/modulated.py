"""Convolutions whose input channels a style scales. Karras et al. 2020, arXiv:1912.04958, sec. 2.2.

The authors scale the weights, a set of kernels a sample. Here activations are scaled instead, which gives the same
numbers from ordinary convolutions: y = d conv(s x), d = (sum over i, k of (s_i W_oik)^2 + 1e-8)^-1/2 for demodulation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genkit.core.precision import full_precision
from genkit.gan.stylegan2.equalised import GAIN, EqualisedLinear, activated
from genkit.gan.stylegan2.fir import FIR


def modulated(x: Tensor, style: Tensor) -> Tensor:
    """Each channel of x (B, C, H, W) times its style, (B, C)."""
    return x * style.to(x.dtype)[:, :, None, None]


def demodulation(style: Tensor, weight: Tensor) -> Tensor:
    """(B, O): one over the length of every kernel of weight (O, I, k, k), scaled by style (B, I)."""
    return (style.square() @ weight.square().sum((2, 3)).T + 1e-8).rsqrt()


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU: (B, inputs, H, W) -> (B, outputs, H, W), or twice as large.

    Args:
        inputs, outputs: channels.
        style_dim: width of w.
        size: side length of the output in pixels.
        up: the output is twice the size of the input.
    """

    noise: Tensor

    def __init__(self, inputs: int, outputs: int, style_dim: int, size: int, up: bool = False):
        super().__init__()
        self.affine = EqualisedLinear(style_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(size, size))
        self.fir = FIR() if up else None
        self.gain = 1 / (9 * inputs) ** 0.5

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None = None) -> Tensor:
        """x with its `style` (B, inputs) and `noise` (B or 1, 1, size, size), that of the buffer where None."""
        weight = self.weight * self.gain
        return self._finished(self._convolved(modulated(x, style), weight), style, weight, noise)

    def moved(self, x: Tensor, style: Tensor, channels: Tensor, values: Tensor) -> Tensor:
        """As `forward` of x (1, inputs, H, W), one number of its `style` (1, inputs) being another in each row.

        That of channel `channels[c]` is `values[c, v]`: rows (0, 0), (0, 1), ..., (1, 0), ...
        Convolution is linear in the style, so that all rows of a channel share a convolution of that channel alone.
        """
        weight, steps = self.weight * self.gain, values - style[0, channels, None]
        other = style.repeat(len(channels), values.shape[1], 1)
        other[torch.arange(len(channels), device=x.device), :, channels] = values
        y = self._convolved(modulated(x, style), weight).contiguous(memory_format=torch.channels_last)
        alone = self._convolved(x[:, channels], weight[:, channels], of_each=True)[0].unflatten(0, (len(channels), -1))
        alone = alone.contiguous(memory_format=torch.channels_last)
        y = torch.addcmul(y[None], steps[:, :, None, None, None], alone[:, None])
        return self._finished(
            y.flatten(0, 1).contiguous(memory_format=torch.channels_last), other.flatten(0, 1), weight, None
        )

    def _finished(self, y: Tensor, style: Tensor, weight: Tensor, noise: Tensor | None) -> Tensor:
        """Demodulation, noise, bias and activation of what was convolved; in place where nothing needs a graph."""
        with full_precision(y):  # a sum of squares wants all its bits
            scale = demodulation(style, weight)
        drawn = self.noise[None, None] if noise is None else noise
        shift = (drawn * self.noise_strength * GAIN).to(y.dtype)
        into = None if torch.is_grad_enabled() or scale.shape[0] != y.shape[0] else y
        y = torch.addcmul(shift, y, (scale * GAIN).to(y.dtype)[:, :, None, None], out=into)
        y = torch.add(y, (self.bias * GAIN).to(y.dtype)[:, None, None], out=into)
        return activated(y)

    def _convolved(self, x: Tensor, weight: Tensor, of_each: bool = False) -> Tensor:
        """`of_each`: every channel of x by itself, all outputs of the first before those of the second."""
        groups = x.shape[1] if of_each else 1
        if self.fir is None:
            kernels = weight.transpose(0, 1).flatten(0, 1)[:, None] if of_each else weight
            return F.conv2d(x, kernels, padding=1, groups=groups)
        return self.fir.smooth(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2, groups=groups), 1, gain=4.0)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution without demodulation, and a bias: (B, inputs, H, W) -> (B, channels, H, W)."""

    def __init__(self, inputs: int, channels: int, style_dim: int):
        super().__init__()
        self.affine = EqualisedLinear(style_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.gain = 1 / inputs**0.5

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return F.conv2d(modulated(x, style), self.weight * self.gain, self.bias)

    def moved(self, x: Tensor, style: Tensor, channels: Tensor, values: Tensor) -> Tensor:
        """As of `StyledConv`; what comes out is linear in the style, too."""
        weight, steps = self.weight[:, channels, 0, 0] * self.gain, values - style[0, channels, None]
        alone = x[0, channels][:, None] * weight.T[:, :, None, None].to(x.dtype)
        return torch.addcmul(self(x, style)[None], steps[:, :, None, None, None].to(x.dtype), alone[:, None]).flatten(
            0, 1
        )
