"""Arguments of networks: ranges of their constructors', as types that the catalog checks, and class labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from genkit.core.errors import ConditionError, RecipeError, suggest

Width = Annotated[int, Field(ge=1, le=2048)]
LatentDim = Annotated[int, Field(ge=1, le=4096)]
Dims = Annotated[int, Field(ge=1, le=65536)]
Depth = Annotated[int, Field(ge=1, le=32)]
Channels = Annotated[int, Field(ge=1, le=16)]
ImageSize = Annotated[int, Field(ge=8, le=256)]
Classes = Annotated[int, Field(ge=0, le=10_000)]
"""0 is unconditional."""
Rate = Annotated[float, Field(ge=0, lt=1)]
"""Share of the values that dropout sets to zero."""
Norm = Literal["none", "batch", "layer"]


def check_classes(classes: int, name: str = "classes") -> int:
    """`classes`: 0 for an unconditional network, else at least 2; by the `name` of the argument.

    Raises:
        RecipeError: any other number.
    """
    if classes < 0 or classes == 1:
        raise RecipeError(f"{name}: 0 (unconditional) or at least 2 are accepted, got {classes}")
    return classes


def check_labels(y: Tensor | None, rows: int) -> None:
    """Refuses labels (B,) for an embedding without rows, and none for one with `rows`.

    Raises:
        ConditionError: labels that are not taken, or missing labels.
    """
    if y is None and rows:
        raise ConditionError(f"this network needs labels, (B,) int64 below {rows}; got none")
    if y is not None and not rows:
        raise ConditionError("this network is unconditional and takes no labels; leave them out")


def labels(condition: Mapping[str, Tensor] | None) -> Tensor:
    """The (B,) int64 labels of a condition.

    Raises:
        ConditionError: there is no 'label'.
    """
    if condition is None or "label" not in condition:
        raise ConditionError(f"this network needs the condition 'label'{suggest('', condition or {})}")
    return condition["label"]


def probabilities(condition: Mapping[str, Tensor] | None, classes: int) -> Tensor:
    """The (B, classes) probabilities of a condition.

    Raises:
        ConditionError: there are none, or of another number of classes.
    """
    if condition is None or "probabilities" not in condition:
        raise ConditionError(f"this network needs the condition 'probabilities'{suggest('', condition or {})}")
    found = condition["probabilities"]
    if found.dim() != 2 or found.shape[1] != classes:
        raise ConditionError(f"this network takes probabilities (B, {classes}), got {list(found.shape)}")
    return found
