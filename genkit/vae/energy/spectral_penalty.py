"""The sum of largest singular values that holds an energy's slope down (Vahdat & Kautz 2020; Xiao et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.core.known import Tally

FIRST, LATER = 40, 4
"""Power iterations of the first call of `iterate`, and of each later one."""


class SpectralPenalty(Tally):
    """The sum over all weights of u' W v, u and v their first singular vectors, W as (outputs, inputs k k).

    Weights of one shape go through the power iteration together. The vectors are saved, so that a resumed training goes
    on where it was: `iterate` moves them, between two steps, and the penalty takes them as they are.

    Args:
        weights: (outputs, ...) each; only their shapes are read.

    Attributes:
        started: whether `iterate` was ever called.
    """

    started: Tensor

    def __init__(self, weights: Sequence[Tensor]):
        super().__init__()
        self.shapes = [(len(w), w[0].numel()) for w in weights]
        for rows, columns in dict.fromkeys(self.shapes):
            n = self.shapes.count((rows, columns))
            self.register_buffer(f"u_{rows}x{columns}", F.normalize(torch.randn(n, rows), dim=1))
            self.register_buffer(f"v_{rows}x{columns}", F.normalize(torch.randn(n, columns), dim=1))
        self.register_buffer("started", torch.tensor(False))

    @torch.no_grad()
    def iterate(self, weights: Sequence[Tensor]) -> None:
        """Moves u and v towards the first singular vectors of `weights`, those of the constructor's shapes."""
        turns = LATER if self.counted(self.started) else FIRST
        for u, w, v in self._stacks(weights):
            for _ in range(turns):
                v.copy_(F.normalize(torch.einsum("no,noi->ni", u, w), dim=1, eps=1e-3))
                u.copy_(F.normalize(torch.einsum("noi,ni->no", w, v), dim=1, eps=1e-3))
        self.count_on(self.started, 1)

    def forward(self, weights: Sequence[Tensor]) -> Tensor:
        """The penalty, a scalar with a graph to `weights`."""
        return torch.stack([torch.einsum("no,noi,ni->", u, w, v) for u, w, v in self._stacks(weights)]).sum()

    def _stacks(self, weights: Sequence[Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
        """u (n, O), W (n, O, I) and v (n, I) of each shape."""
        found = []
        for rows, columns in dict.fromkeys(self.shapes):
            alike = [w.flatten(1) for w, s in zip(weights, self.shapes, strict=True) if s == (rows, columns)]
            u, v = self.get_buffer(f"u_{rows}x{columns}"), self.get_buffer(f"v_{rows}x{columns}")
            found.append((u, torch.stack(alike), v))
        return found
