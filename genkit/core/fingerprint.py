"""Hashes by which data sets, and weights, are distinguished."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Protocol

import torch
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


KNOWN = (torch.float16, torch.float32, torch.float64)


class Weighted(Protocol):
    """Something with weights, as a torch.nn.Module has them."""

    def state_dict(self) -> Any: ...


class Described(Weighted, Protocol):
    """Weights, and the settings that they are used with."""

    config: dict[str, Any]


def described_fingerprint(described: Described) -> str:
    """Equal for modules, such as generators, of equal weights and settings."""
    return weights_fingerprint(described) + json.dumps(described.config, sort_keys=True, default=str)


def weights_fingerprint(weighted: Weighted) -> str:
    """sha256 of the names and values of all weights, whatever the class that holds them and their order.

    Of what a module keeps beside tensors, its text.
    """
    total = hashlib.sha256()
    for name, value in sorted(weighted.state_dict().items()):
        told = fingerprint(_plain(value)) if isinstance(value, Tensor) else repr(value)
        total.update(f"{name} {told}\n".encode())
    return total.hexdigest()


def _plain(value: Tensor) -> Tensor:
    """As NumPy knows it, which has no sparse tensors and neither bfloat16 nor float8."""
    dense = value.detach().to_dense() if value.layout != torch.strided else value.detach()
    return dense.float() if dense.is_floating_point() and dense.dtype not in KNOWN else dense
