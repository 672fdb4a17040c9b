"""Log-density of a mixture of very many Gaussians, in blocks: memory does not grow with their number.

log N(z; m, s2) is an affine function of z (of z and its squares, where the variances differ) plus terms that do not
depend on the component, so that the mixture is a log-sum-exp of a matrix product. The blocks of that product are
summed as they come, and made again in the backward pass: never (n, m, d) numbers, nor (n, m) for more than a block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from genkit.core.errors import GenkitError
from genkit.core.precision import full, full_precision, wide
from genkit.core.randomness import sent
from genkit.vae.networks.gaussian import LOG_2PI

CPU_BLOCK, GPU_BLOCK = 2**20, 2**26
"""Scores of all rows that are held at a time: few enough for a core's cache, enough to keep a GPU busy."""
ROWS = 512
"""Rows at a time, on a processor."""
NEGLIGIBLE = -80.0
"""Logarithm of a negligible share of the sum: exponentials of less are subnormal, fifty times as slow."""


@dataclass(frozen=True)
class LeaveOut:
    """The components that each row must not see; on the CPU, where their number is known without waiting for a device.

    Attributes:
        rows: (B,) int64, the item that each row of z comes from.
        items: (M,) int64, the item that each component comes from; an item may come more than once.
    """

    rows: Tensor
    items: Tensor


def log_mixture(
    z: Tensor,
    means: Tensor,
    log_variance: Tensor,
    *,
    leave_out: LeaveOut | None = None,
    count: Tensor | None = None,
    block: int | None = None,
) -> Tensor:
    """log of the mean of N(z; means, exp(log_variance)) over the components that a row may see, in nats.

    Differentiable in z, means and log_variance. Computed in the precision of z, at least float32.

    Args:
        z: (B, D).
        means: (M, D).
        log_variance: one number shared by everything, or (M, D).
        leave_out: components that belong to a row itself; Norouzi et al. 2020, Eq. 6.
        count: (B,), divisor of the sum, if it is not the number of components.
        block: components at a time; None chooses by the device.

    Returns:
        (B,).

    Raises:
        GenkitError: a row may see no component.
    """
    with full_precision(z):
        z, means, log_variance = map(full, (z, means, log_variance))
        total = _log_sum(z, means, log_variance, leave_out, block)
    left = torch.full((len(z),), len(means), dtype=z.dtype) if leave_out is None else seen(leave_out)
    if not bool((left > 0).all()):
        row = int((left <= 0).nonzero()[0])
        raise GenkitError(
            f"row {row} of the batch is left without any of the {len(means)} exemplars after its own are taken out; "
            "use more exemplars, or draw them without replacement"
        )
    return total - (sent(left, z.device) if count is None else count).log()


def _log_sum(z: Tensor, means: Tensor, log_variance: Tensor, leave_out: LeaveOut | None, block: int | None) -> Tensor:
    """log sum_n N(z; m_n, s2_n), means centred first: squares of large numbers lose digits."""
    dims, centre = z.shape[1], means.detach().mean(0)
    z, means = z - centre, means - centre
    if log_variance.numel() == 1:
        precision = (-log_variance).exp().squeeze()
        slopes, offsets = means * precision, -0.5 * precision * means.square().sum(1)
        rest = -0.5 * (precision * z.square().sum(1) + dims * (log_variance.squeeze() + LOG_2PI))
        return rest + _affine_log_sum(z, slopes, offsets, leave_out, block)
    device, (z, means, log_variance) = z.device, map(wide, (z, means, log_variance))
    precision = (-log_variance).exp()
    slopes = torch.cat([means * precision, -0.5 * precision], dim=1)
    offsets = -0.5 * (precision * means.square() + log_variance + LOG_2PI).sum(1)
    return _affine_log_sum(torch.cat([z, z.square()], dim=1), slopes, offsets, leave_out, block).float().to(device)


def _affine_log_sum(
    x: Tensor, slopes: Tensor, offsets: Tensor, leave_out: LeaveOut | None, block: int | None
) -> Tensor:
    """log sum_n exp(x . slopes_n + offsets_n), (B, F), (M, F), (M,) -> (B,)."""
    rows = min(len(x), ROWS) if x.device.type == "cpu" else len(x)
    block = block or max(1, (CPU_BLOCK if x.device.type == "cpu" else GPU_BLOCK) // max(rows, 1))
    slopes = torch.cat([slopes, offsets[:, None]], dim=1)
    outs = repeat(None) if leave_out is None else (_Own.of(rs, leave_out.items, x) for rs in leave_out.rows.split(rows))
    parts = [_AffineLogSum.apply(part, slopes, out, block) for part, out in zip(x.split(rows), outs, strict=False)]  # type: ignore[no-untyped-call]
    return torch.cat(parts)


class _AffineLogSum(torch.autograd.Function):
    """As `_affine_log_sum`, the offsets being the last column of slopes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slopes: Tensor, own: _Own | None, block: int) -> Tensor:
        total = x.new_full((len(x),), -math.inf)
        beside_one = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
        for here in _blocks(len(slopes), block):
            scores = _without(beside_one @ slopes[here].T, own, here)
            top = scores.amax(1, keepdim=True).clamp_min(torch.finfo(x.dtype).min)
            total = torch.logaddexp(total, scores.sub_(top).clamp_(min=NEGLIGIBLE).exp_().sum(1).log() + top.squeeze(1))
        ctx.save_for_backward(x, slopes, total)
        ctx.own, ctx.block = own, block
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, slopes, total = ctx.saved_tensors
        ones, d_x, d_slopes = torch.ones_like(x[:, :1]), torch.zeros_like(x), torch.empty_like(slopes)
        beside_total, weighted = torch.cat([x, ones, -total[:, None]], dim=1), torch.cat([x, ones], 1) * grad[:, None]
        for here in _blocks(len(slopes), ctx.block):
            part = slopes[here]
            shares = beside_total @ torch.cat([part, torch.ones_like(part[:, :1])], dim=1).T
            shares = _without(shares, ctx.own, here).clamp_(min=NEGLIGIBLE).exp_()
            d_x.addmm_(shares, part[:, :-1])
            torch.mm(shares.T, weighted, out=d_slopes[here])
        return d_x * grad[:, None], d_slopes, None, None


@dataclass(frozen=True)
class _Own:
    """The pairs of a row and a component that must not meet: few, and found by sorted search.

    Attributes:
        rows, components: (K,) int64 each, by component, where the scores are.
        order: the components on the CPU.
    """

    rows: Tensor
    components: Tensor
    order: Tensor

    @classmethod
    def of(cls, rows: Tensor, items: Tensor, like: Tensor) -> _Own:
        """The pairs of rows and components of the same item."""
        ordered = rows.sort().values
        at = torch.searchsorted(ordered, items).clamp_max(len(ordered) - 1)
        components = (ordered[at] == items).nonzero().squeeze(1)
        which, row = (items[components, None] == rows).nonzero().unbind(1)
        return cls(sent(row, like.device), sent(components[which], like.device), components[which])


def _without(scores: Tensor, own: _Own | None, here: slice) -> Tensor:
    """`scores` of the components `here`, minus infinity where row and component must not meet."""
    if own is not None:
        first, stop = torch.searchsorted(own.order, torch.tensor([here.start, here.stop])).tolist()
        scores[own.rows[first:stop], own.components[first:stop] - here.start] = -math.inf
    return scores


def _blocks(count: int, block: int) -> list[slice]:
    return [slice(start, min(start + block, count)) for start in range(0, count, block)]


def seen(leave_out: LeaveOut) -> Tensor:
    """(B,) float32, number of components that each row may see: by sorted search, not a table of comparisons."""
    ordered = leave_out.items.sort().values
    own = torch.searchsorted(ordered, leave_out.rows, right=True) - torch.searchsorted(ordered, leave_out.rows)
    return (len(ordered) - own).float()
