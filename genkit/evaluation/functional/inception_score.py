"""Inception score (Salimans et al. 2016, eq. 1) of any classifier's logits."""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.core.errors import EvaluationError
from genkit.evaluation.functional.matrices import Features, as_features


def inception_score(logits: Features, splits: int = 1) -> tuple[float, float]:
    """Mean and standard deviation (ddof 0) over contiguous splits of exp(mean KL(p(y|x) || p(y))).

    Probabilities stay logarithms, so a logit gap of thousands is exact where others return NaN. Nothing is shuffled:
    split i holds the rows floor(i n / s) to floor((i + 1) n / s).

    Args:
        logits: (n, classes), before the softmax.
        splits: number of splits; with many classes the score falls as it grows, so state it.

    Raises:
        EvaluationError: not finite, or fewer samples than splits.
    """
    if splits < 1:
        raise EvaluationError(f"the Inception score needs at least 1 split, got {splits}")
    x = as_features("logits", logits, splits, f" for {splits} splits" if splits > 1 else "")
    n = len(x)
    scores = torch.stack([divergences(x[i * n // splits : (i + 1) * n // splits]).mean().exp() for i in range(splits)])
    return scores.mean().item(), scores.std(correction=0).item()


def divergences(logits: Tensor) -> Tensor:
    """KL(p(y|x_i) || p(y)) of each row, (n, classes) float64 -> (n,)."""
    log_p = logits.log_softmax(1)
    log_marginal = log_p.logsumexp(0) - torch.tensor(len(logits), dtype=log_p.dtype).log()
    # Where a gap overflows float64, log p is -inf and p is 0: 0 * inf must count as 0.
    return (log_p.exp() * (log_p - log_marginal).nan_to_num(0.0)).sum(1)
