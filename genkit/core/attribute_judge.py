"""The contract of networks that read attributes of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor

from genkit.core.condition import ConditionSpace


@runtime_checkable
class AttributeJudge(Protocol):
    """Reads attributes of images (B, C, H, W): numbers, or numbers of classes, (B,) by name."""

    @property
    def sample_shape(self) -> tuple[int, ...]: ...
    @property
    def conditions(self) -> ConditionSpace: ...
    def predict(self, x: Tensor) -> Mapping[str, Tensor]: ...
