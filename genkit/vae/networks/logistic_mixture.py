"""Discretised logistic distributions of pixels, and mixtures of them. Salimans et al. 2017, arXiv:1701.05517, sec. 2.

Pixels are in [-1, 1] here. Constants are those of Vahdat & Kautz 2020's code.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

LOWEST, HIGHEST = -0.999, 0.99
"""Pixels beyond these lie in an outermost bin, which reaches to infinity; of 256 levels the two highest do."""
LEAST_SHARE = 1e-5
"""Probability of a bin below which the density at its middle, times its width, stands for the difference."""
LEAST_LOG_SCALE = -7.0


def log_bin(x: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """Log-probability of the bin of x, one of `levels` evenly spread ones, under a logistic distribution."""
    half, inverse = 1 / (levels - 1), (-log_scale).exp()
    high, middle, low = (inverse * (x - mean + side) for side in (half, 0.0, -half))
    share = high.sigmoid() - low.sigmoid()
    density = middle - log_scale - 2 * F.softplus(middle) + math.log(2 * half)
    inside = torch.where(share > LEAST_SHARE, share.clamp(min=1e-10).log(), density)
    outside = torch.where(x < LOWEST, F.logsigmoid(high), -F.softplus(low))
    return torch.where((x < LOWEST) | (x > HIGHEST), outside, inside)


class LogisticMixture(NamedTuple):
    """Components of each pixel of images (B, C, H, W); in one, the mean of a channel is linear in the channels before.

    Attributes:
        logits: of the components, (B, M, H, W).
        mean, log_scale: (B, C, M, H, W).
        coefficient: of channel 1 by 0, 2 by 0, 2 by 1: (B, C (C - 1) / 2, M, H, W).
    """

    logits: Tensor
    mean: Tensor
    log_scale: Tensor
    coefficient: Tensor

    @staticmethod
    def maps(channels: int, components: int) -> int:
        """Maps that a decoder gives."""
        return components * (1 + channels * _for_each(channels))

    @classmethod
    def of(cls, raw: Tensor, channels: int, components: int) -> LogisticMixture:
        """Of a decoder's maps (B, maps, H, W): logits, then of each channel means, log_scales and coefficients."""
        logits, rest = raw[:, :components], raw[:, components:]
        parts = rest.unflatten(1, (channels, _for_each(channels), components)).unbind(2)
        coefficient = parts[2].tanh() if channels > 1 else parts[0][:, :0]
        return cls(logits, parts[0], parts[1].clamp(min=LEAST_LOG_SCALE), coefficient)

    def mean_given(self, channel: int, before: Tensor) -> Tensor:
        """Means of a channel (B, M, H, W), given those before it, (B, channel, ..., H, W) with any components."""
        first = channel * (channel - 1) // 2
        return self.mean[:, channel] + (self.coefficient[:, first : first + channel] * before).sum(1)

    def log_prob(self, x: Tensor, levels: int) -> Tensor:
        """log p of each pixel, (B, H, W), in nats; x: (B, C, H, W), of `levels` levels."""
        every = x[:, :, None]
        means = torch.stack([self.mean_given(c, every[:, :c]) for c in range(x.shape[1])], 1)
        given_component = log_bin(every, means, self.log_scale, levels).sum(1)
        return torch.logsumexp(given_component + self.logits.log_softmax(1), 1)

    def expected(self) -> Tensor:
        """Mean of the mixture, (B, C, H, W), not cut to [-1, 1]."""
        found = self.mean[:, :0]
        for c in range(self.mean.shape[1]):
            found = torch.cat([found, self.mean_given(c, found)[:, None]], 1)
        return (found * self.logits.softmax(1)[:, None]).sum(2)

    def drawn(self, uniform: Tensor, levels: int) -> Tensor:
        """A level of each channel after the other, (B, C, H, W), from `uniform` on [0, 1) of the same shape.

        The first channel's number chooses the component; what is left of it in its share is again uniform.
        """
        shares = self.logits.softmax(1)
        ends = shares.cumsum(1)
        chosen = (uniform[:, :1] >= ends[:, :-1]).sum(1, keepdim=True)
        share, end = shares.gather(1, chosen), ends.gather(1, chosen)
        left = ((uniform[:, :1] - end + share) / share).clamp(0, 1)
        one = LogisticMixture(self.logits, *(_component(part, chosen) for part in self[1:]))
        standard = torch.logit(torch.cat([left, uniform[:, 1:]], 1), eps=1e-5)
        found = uniform[:, :0]
        for c in range(uniform.shape[1]):
            x = one.mean_given(c, found[:, :, None]) + one.log_scale[:, c].exp() * standard[:, c : c + 1]
            found = torch.cat([found, nearest_level(x, levels)], 1)
        return found


def nearest_level(x: Tensor, levels: int) -> Tensor:
    """x at the nearest of `levels` levels in [-1, 1]."""
    half = (levels - 1) / 2
    return ((x.clamp(-1, 1) + 1) * half).round() / half - 1


def _for_each(channels: int) -> int:
    """Parameters of a component for each channel: mean, log_scale and, of colours, a coefficient."""
    return 3 if channels == 3 else 2


def _component(part: Tensor, chosen: Tensor) -> Tensor:
    """(B, N, M, H, W) -> (B, N, 1, H, W), the component `chosen` (B, 1, H, W) of each pixel."""
    at = chosen[:, None].expand(-1, part.shape[1], -1, -1, -1)
    return part.gather(2, at)
