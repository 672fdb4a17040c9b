"""Ranking quality of a score that separates two kinds."""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.core.errors import EvaluationError


def auroc(score: Tensor, positive: Tensor) -> float:
    """The chance that a positive scores above a negative, ties counted half: 0.5 knows nothing, 1 all.

    Args:
        score: (N,).
        positive: (N,) bool.

    Raises:
        EvaluationError: shapes that do not fit, scores that are not finite, or one kind alone.
    """
    if score.shape != positive.shape or score.dim() != 1:
        raise EvaluationError(f"a score and a truth a sample, got {tuple(score.shape)} and {tuple(positive.shape)}")
    if not score.isfinite().all():
        raise EvaluationError("scores that are not finite cannot be ranked")
    positive = positive.bool().to(score.device)
    ups, downs = int(positive.sum()), int((~positive).sum())
    if not ups or not downs:
        raise EvaluationError(f"both kinds are needed, got {ups} positive and {downs} negative samples")
    _, value, count = torch.unique(score, return_inverse=True, return_counts=True)
    below = count.cumsum(0) - count
    rank = below.double() + (count.double() + 1) / 2
    return (float(rank[value[positive]].sum()) - ups * (ups + 1) / 2) / (ups * downs)
