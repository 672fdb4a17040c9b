"""Vendi score (Friedman and Dieng 2023): the effective number of different samples."""

from __future__ import annotations

import torch

from genkit.core.errors import EvaluationError
from genkit.evaluation.functional.matrices import Features, as_features


def vendi_score(features: Features) -> float:
    """exp(entropy of the eigenvalues of K / n) for the cosine similarities K; from 1 (all alike) to n.

    The non-zero eigenvalues of K / n are those of the (d, d) matrix of the normalised features, so the smaller is used.

    Args:
        features: (n, d), at least 2 rows, none of them zero.

    Raises:
        EvaluationError: not finite, fewer than 2 samples, or a row of zeros, whose cosine is undefined.
    """
    x = as_features("features", features)
    norms = x.norm(dim=1, keepdim=True)
    if not norms.all():
        row = int((norms == 0).flatten().nonzero()[0])
        raise EvaluationError(f"the Vendi score has no cosine for a feature of zeros (row {row}); leave it out")
    x = x / norms
    gram = x @ x.T if len(x) < x.shape[1] else x.T @ x
    p = torch.linalg.eigvalsh(gram / len(x)).clamp(min=0)
    p = p[p > 0]
    return torch.exp(-(p * p.log()).sum()).item()
