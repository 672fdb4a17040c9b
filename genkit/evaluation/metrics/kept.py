"""State of samples that come batch by batch: flat float64 tensors; the parts of one set can be merged."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genkit.core.errors import EvaluationError
from genkit.evaluation.extractors.extractor import Extracted, FeatureGaussian


class Kept:
    """All rows, (n, d)."""

    def of(self, rows: Tensor) -> Tensor:
        """The state of a batch (B, d), flat."""
        return rows.flatten()

    def merged(self, parts: list[Tensor], d: int) -> list[Tensor]:
        """The same set in fewer parts, where that saves memory."""
        return parts

    def side(self, kept: Tensor, d: int, name: str) -> Any:
        """The input of a metric, from all parts behind each other."""
        rows = kept.reshape(-1, d)
        return Extracted(rows, rows)


ROWS = Kept()


class Moments(Kept):
    """Count, mean and scatter about the mean: a (d, d) matrix, however many samples.

    Unlike sums of squares they keep their digits at large offsets.
    """

    def of(self, rows: Tensor) -> Tensor:
        mean = rows.mean(0)
        centred = rows - mean
        return torch.cat([rows.new_tensor([float(len(rows))]), mean, (centred.T @ centred).flatten()])

    def merged(self, parts: list[Tensor], d: int) -> list[Tensor]:
        """The moments of the union (Chan, Golub and LeVeque 1979)."""
        total = parts[0]
        for part in parts[1:]:
            (n, mean, scatter), (m, other, more) = self._unpacked(total, d), self._unpacked(part, d)
            delta = other - mean
            both = scatter + more + torch.outer(delta, delta) * (n * m / (n + m))
            total = torch.cat([(n + m)[None], mean + delta * (m / (n + m)), both.flatten()])
        return [total]

    def side(self, kept: Tensor, d: int, name: str) -> FeatureGaussian:
        (total,) = self.merged(list(kept.reshape(-1, 1 + d + d * d)), d)
        n, mean, scatter = self._unpacked(total, d)
        if n < 2:
            raise EvaluationError(f"{name} features: got 1 sample, at least 2 are needed")
        return FeatureGaussian(mean, scatter / (n - 1), int(n))

    @staticmethod
    def _unpacked(flat: Tensor, d: int) -> tuple[Tensor, Tensor, Tensor]:
        return flat[0], flat[1 : 1 + d], flat[1 + d :].reshape(d, d)
