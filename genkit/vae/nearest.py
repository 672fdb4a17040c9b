"""The nearest of very many points, exactly, in blocks."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genkit.vae.log_mixture import LeaveOut

BLOCK = 8192


def nearest(
    z: Tensor, points: Tensor, k: int, *, leave_out: LeaveOut | None = None, block: int = BLOCK
) -> tuple[Tensor, Tensor]:
    """The k nearest of `points` (M, D) to each of z (B, D), by Euclidean distance, nearest first.

    Args:
        k: at most M.
        leave_out: points that belong to a row itself and are put last, at an infinite distance.
        block: points at a time.

    Returns:
        positions (B, k) int64 and squared distances (B, k).
    """
    centre = points.mean(0)
    z, points = z - centre, points - centre
    squares, best = points.square().sum(1), z.new_full((len(z), 0), math.inf)
    where = torch.zeros(len(z), 0, dtype=torch.int64, device=z.device)
    for start in range(0, len(points), block):
        here = slice(start, min(start + block, len(points)))
        distance = torch.addmm(squares[here], z, points[here].T, alpha=-2)
        if leave_out is not None:
            distance.masked_fill_(leave_out.rows[:, None] == leave_out.items[None, here], math.inf)
        found, at = distance.topk(min(k, distance.shape[1]), dim=1, largest=False)
        best, where = torch.cat([best, found], dim=1), torch.cat([where, at + start], dim=1)
        best, kept = best.topk(min(k, best.shape[1]), dim=1, largest=False)
        where = where.gather(1, kept)
    return where, best + z.square().sum(1, keepdim=True)
