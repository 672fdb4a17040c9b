"""The exact nearest neighbours among very many points, in blocks.

Products of centred float64 matrices rank the points to rounding; the first of them are measured again from differences.
A row whose last neighbours are too close for that, such as one with many equal points, is measured from all of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.core.errors import EvaluationError
from genkit.core.known import rows_of
from genkit.core.precision import wide

QUERIES, POINTS = 256, 16384
"""Rows and columns of the table of distances that are held at a time."""
NUMBERS = 2**22
"""Differences that are held at a time."""
SPARE = 4
"""Points beyond the k nearest that are measured again."""


def nearest(
    queries: Tensor, points: Tensor, k: int, *, owners: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """The k nearest of `points` (M, D) to each of `queries` (Q, D), by Euclidean distance, nearest first.

    Distances are sums of squared differences in float64; of equal ones the point of the lower position comes first.

    Args:
        k: 1 to M.
        owners: ids (Q,) and (M,); a point with the id of a query is put last, at an infinite distance.

    Returns:
        Positions (Q, k) int64 and squared distances (Q, k) float64.

    Raises:
        EvaluationError: k outside 1 to M.
    """
    if not 1 <= k <= len(points):
        raise EvaluationError(f"the nearest {k} of {len(points)} points: take 1 to as many as there are")
    device, (queries, points) = points.device, (wide(queries.detach()), wide(points.detach()))
    table = _Table(points)
    found = []
    for start in range(0, len(queries), QUERIES):
        rows = slice(start, start + QUERIES)
        own = None if owners is None else (owners[0][rows].to(points.device), owners[1].to(points.device))
        found.append(table.nearest(queries[rows], k, own))
    if not found:
        return torch.zeros(0, k, dtype=torch.int64, device=device), points.new_zeros(0, k)
    return torch.cat([where for where, _ in found]).to(device), torch.cat([squared for _, squared in found])


class _Table:
    """Points as given, for exact differences, and centred, for products without the rounding of large offsets."""

    def __init__(self, points: Tensor):
        self.points, self.centre = points, points.mean(0)
        self.centred = points - self.centre
        self.norms = self.centred.square().sum(1)

    def nearest(self, queries: Tensor, k: int, own: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        candidates, bound = self._candidates(queries, min(k + SPARE, len(self.points)), own)
        where, squared = _first(candidates, self._measured(queries, candidates, own), k)
        if candidates.shape[1] < len(self.points):
            for i in rows_of(squared[:, -1] >= bound):
                where[i], squared[i] = self._of_all(queries[i], k, own and (own[0][i], own[1]))
        return where, squared

    def _candidates(self, queries: Tensor, count: int, own: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        """Positions (Q, count) of the nearest to rounding, and a lower bound (Q,) on squared distances of others."""
        z = queries - self.centre
        best, where = z.new_zeros(len(z), 0), torch.zeros(len(z), 0, dtype=torch.int64, device=z.device)
        for start in range(0, len(self.points), POINTS):
            here = slice(start, start + POINTS)
            squared = torch.addmm(self.norms[here], z, self.centred[here].T, alpha=-2)
            if own is not None:
                squared.masked_fill_(own[0][:, None] == own[1][None, here], torch.inf)
            found, at = squared.topk(min(count, squared.shape[1]), dim=1, largest=False)
            best, where = torch.cat([best, found], 1), torch.cat([where, at + start], 1)
            best, kept = best.topk(min(count, best.shape[1]), dim=1, largest=False)
            where = where.gather(1, kept)
        norms = z.square().sum(1)
        rounding = 2 * (z.shape[1] + 4) * torch.finfo(z.dtype).eps * (norms + self.norms.max())
        return where, best[:, -1] + norms - rounding

    def _measured(self, queries: Tensor, candidates: Tensor, own: tuple[Tensor, Tensor] | None) -> Tensor:
        """Squared distances (Q, c) of the candidates, some columns at a time."""
        columns = candidates.split(max(1, NUMBERS // queries.numel()), dim=1)
        squared = torch.cat([(queries[:, None] - self.points[some]).square().sum(2) for some in columns], 1)
        return squared if own is None else squared.masked_fill_(own[0][:, None] == own[1][candidates], torch.inf)

    def _of_all(self, query: Tensor, k: int, own: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        """The k nearest to one query (D,) among all points."""
        squared = torch.cat([(query - part).square().sum(1) for part in self.points.split(POINTS)])
        if own is not None:
            squared.masked_fill_(own[0] == own[1], torch.inf)
        near = (squared <= squared.kthvalue(k).values).nonzero().flatten()
        found = squared[near].sort(stable=True)
        return near[found.indices[:k]], found.values[:k]


def _first(candidates: Tensor, squared: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k with the smallest distances, of equal ones those of lower positions."""
    candidates, order = candidates.sort(1)
    squared, order = squared.gather(1, order).sort(dim=1, stable=True)
    return candidates.gather(1, order)[:, :k], squared[:, :k]
