"""GroupNorm, also with a scale and shift per sample, quick on channels-last maps of a CPU."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMALL = 2**14
"""Maps of fewer numbers go through torch: for these, calls take longer than sums."""


def scaled_group_norm(x: Tensor, norm: nn.GroupNorm, scale: Tensor, shift: Tensor) -> Tensor:
    """norm(x) * (1 + scale) + shift: "AdaGN" of Dhariwal & Nichol 2021, arXiv:2105.05233, Sec. 3.

    Args:
        x: (B, C, H, W).
        norm: with weight and bias.
        scale, shift: (B, C).
    """
    if not _is_quick(x):
        normal = F.group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps)
        return normal * (1 + scale[:, :, None, None]) + shift[:, :, None, None]
    return _quickly(x, norm, norm.weight * (1 + scale), torch.addcmul(norm.bias + shift, norm.bias, scale))


def _quickly(x: Tensor, norm: nn.GroupNorm, gain: Tensor, shift: Tensor) -> Tensor:
    """gain and shift: (C,) or (B, C)."""
    gain, shift = (values.float().expand(len(x), -1).contiguous() for values in (gain, shift))
    normal: Tensor = _ChannelsLast.apply(x, gain, shift, norm.num_groups, norm.eps)
    return normal


class MapNorm(nn.GroupNorm):
    """torch's GroupNorm for maps (B, C, H, W). Wu & He 2018, arXiv:1803.08494."""

    @staticmethod
    def takes(norm: nn.GroupNorm) -> bool:
        return norm.affine

    @classmethod
    def of(cls, norm: nn.GroupNorm) -> MapNorm:
        """A MapNorm that shares the parameters of `norm`."""
        new = cls(norm.num_groups, norm.num_channels, norm.eps)
        new.weight, new.bias = norm.weight, norm.bias
        return new

    def forward(self, x: Tensor) -> Tensor:
        return _quickly(x, self, self.weight, self.bias) if _is_quick(x) else super().forward(x)


def _is_quick(x: Tensor) -> bool:
    """True where torch's own kernel, which walks such maps channel by channel, is several times as slow as this one."""
    if torch.compiler.is_compiling() or x.device.type != "cpu" or x.dtype != torch.float32 or x.numel() < SMALL:
        return False
    return x.shape[1] > 1 and x.is_contiguous(memory_format=torch.channels_last)


class _ChannelsLast(torch.autograd.Function):
    """Group norm in whole passes over (B, H * W, C), with contiguous rows; other tensors have B * C numbers.

    Written without einops, whose calls would take as long as the sums.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, shift: Tensor, groups: int, eps: float) -> Tensor:
        pixels, grouped, n = _pixels(x), (len(x), groups, -1), _group_size(x, groups)
        mean = pixels.sum(1).view(grouped).sum(2, keepdim=True) / n
        square = (pixels * pixels).sum(1).view(grouped).sum(2, keepdim=True) / n
        inverse = (square - mean * mean).clamp_(min=0).add_(eps).rsqrt_()
        factor = gain.view(grouped) * inverse
        offset = torch.addcmul(shift.view(grouped), mean, factor, value=-1)
        ctx.save_for_backward(x, gain, mean, inverse)
        ctx.groups, ctx.eps = groups, eps
        return _maps(torch.addcmul(offset.view(len(x), 1, -1), pixels, factor.view(len(x), 1, -1)), x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """g * gain / std, less its mean over the group and its part along y, which is x at mean 0 and variance 1."""
        x, gain, mean, inverse = ctx.saved_tensors
        if torch.is_grad_enabled():
            return (*_differentiable(x, gain, gradients[0], ctx.groups, ctx.eps), None, None)
        pixels, g, grouped, n = _pixels(x), _pixels(gradients[0]), (len(x), ctx.groups, -1), _group_size(x, ctx.groups)
        of_shift, factor = g.sum(1).view(grouped), gain.view(grouped) * inverse
        of_gain = torch.addcmul((g * pixels).sum(1).view(grouped), mean, of_shift, value=-1) * inverse
        along = (factor * of_gain).sum(2, keepdim=True) * inverse / n
        offset = (mean * along - (factor * of_shift).sum(2, keepdim=True) / n).expand_as(factor)
        of_x = torch.addcmul(offset.reshape(len(x), 1, -1), g, factor.view(len(x), 1, -1))
        of_x.addcmul_(pixels, along.expand_as(factor).reshape(len(x), 1, -1), value=-1)
        return _maps(of_x, x), of_gain.view_as(gain), of_shift.view_as(gain), None, None


def _differentiable(x: Tensor, gain: Tensor, g: Tensor, groups: int, eps: float) -> tuple[Tensor, ...]:
    """The gradients of x, gain and shift by torch's own operations, which can be differentiated again."""
    y = F.group_norm(x, groups, eps=eps) * gain[:, :, None, None]
    return (*torch.autograd.grad(y, (x, gain), g, create_graph=True), g.sum((2, 3)))


def _group_size(x: Tensor, groups: int) -> int:
    return x.shape[1] * x.shape[2] * x.shape[3] // groups


def _pixels(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H * W, C)."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _maps(pixels: Tensor, like: Tensor) -> Tensor:
    """(B, H * W, C) -> (B, C, H, W)."""
    return pixels.unflatten(1, like.shape[2:]).permute(0, 3, 1, 2)
