"""Hashes by which data sets are distinguished."""

from __future__ import annotations

import hashlib

from torch import Tensor


def fingerprint(x: Tensor, labels: Tensor | None = None) -> str:
    """sha256 of type, shape, content and labels: equal data, equal fingerprint, wherever they came from."""
    total = hashlib.sha256(f"{x.dtype} {tuple(x.shape)}".encode())
    total.update(x.cpu().contiguous().numpy().data)
    if labels is not None:
        total.update(b"labels")
        total.update(labels.cpu().contiguous().numpy().data)
    return total.hexdigest()
