"""Hashes by which data sets are distinguished."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from torch import Tensor


def fingerprint(x: Tensor, labels: Tensor | None = None, attributes: Mapping[str, Tensor] | None = None) -> str:
    """sha256 of type, shape, content, labels and attributes: equal data, equal fingerprint, wherever they are from."""
    total = hashlib.sha256(f"{x.dtype} {tuple(x.shape)}".encode())
    total.update(x.cpu().contiguous().numpy().data)
    if labels is not None:
        total.update(b"labels")
        total.update(labels.cpu().contiguous().numpy().data)
    for name, rows in sorted((attributes or {}).items()):
        total.update(f"attribute {name} {rows.dtype}".encode())
        total.update(rows.cpu().contiguous().numpy().data)
    return total.hexdigest()
