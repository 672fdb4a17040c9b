"""Small data for tests of the stream and the trainer."""

from __future__ import annotations

import torch
from torch import Tensor


class Numbers:
    """Row k is the number k, as points (B, 1) or as one-row images (B, 1, 1, 2) [k, -k]; its label is k modulo 3."""

    def __init__(self, n: int, *, images: bool = False, labels: bool = True):
        self.n, self.images = n, images
        self.labels: Tensor | None = torch.arange(n) % 3 if labels else None

    def __len__(self) -> int:
        return self.n

    def stored(self, index: torch.Tensor) -> torch.Tensor:
        return self.rows(index)

    def rows(self, index: Tensor) -> Tensor:
        value = index.float()
        return torch.stack([value, -value], 1).view(-1, 1, 1, 2) if self.images else value.view(-1, 1)

    def condition(self, index: Tensor) -> dict[str, Tensor]:
        return {} if self.labels is None else {"label": self.labels[index]}
