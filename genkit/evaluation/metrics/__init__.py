"""Metrics: an object each, with the names of its scores, its needs and its computation."""

from __future__ import annotations

from typing import Any

__all__ = ["TorchMetric"]


def __getattr__(name: str) -> Any:
    if name != "TorchMetric":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from genkit.evaluation.metrics.torch_metric import TorchMetric

    return TorchMetric
