"""Input checks: metrics take finite float64 matrices of features, all else is refused before any linear algebra."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genkit.core.errors import EvaluationError

Features = Tensor | np.ndarray | Sequence[Sequence[float]]
"""(n, d) numbers of any real type; converted to float64 before anything is computed."""


LARGEST = 1e25
"""Of a feature, whose twelfth power is a float64 still: squared errors of kernel distances are sums of such."""


def as_float64(what: str, values: object, largest: float = LARGEST**2) -> Tensor:
    """`values` as a finite float64 tensor without a graph, on its own device.

    Raises:
        EvaluationError: not numbers, complex, not finite, or beyond `largest`.
    """
    try:
        known = isinstance(values, (Tensor, np.ndarray, np.generic))
        # torch would read lists of Python floats as float32.
        tensor = torch.as_tensor(values if known else np.asarray(values, dtype=np.float64)).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise EvaluationError(f"{what} must be an array or tensor of numbers, got {type(values).__name__}") from error
    if tensor.is_complex():
        raise EvaluationError(f"{what} must be real numbers, got {tensor.dtype}")
    tensor = tensor.to(torch.float64)
    if not torch.isfinite(tensor).all():
        index = tuple((~torch.isfinite(tensor)).nonzero()[0].tolist())
        raise EvaluationError(f"{what} must be finite, got {tensor[index].item()} at {list(index)}")
    if tensor.numel() and (found := max(map(abs, torch.stack(tensor.aminmax()).tolist()))) > largest:
        raise EvaluationError(f"{what} must be at most {largest:.0e} in size, got {found:.0e}; scale them down")
    return tensor


def as_features(what: str, values: object, least: int = 2, why: str = "") -> Tensor:
    """`values` as (n, d) float64 with n >= least.

    Raises:
        EvaluationError: another shape, too few rows, not finite, or beyond `LARGEST`.
    """
    tensor = as_float64(what, values, LARGEST)
    if tensor.ndim != 2 or tensor.shape[1] < 1:
        raise EvaluationError(f"{what} must have shape (samples, dimensions), got {tuple(tensor.shape)}")
    if len(tensor) < least:
        raise EvaluationError(
            f"{what}: got {len(tensor)} sample{'s' * (len(tensor) != 1)}, at least {least} are needed{why}"
        )
    return tensor


def as_pair(real: object, fake: object, least: int = 2, why: str = "") -> tuple[Tensor, Tensor]:
    """Two feature sets of one dimension.

    Raises:
        EvaluationError: as `as_features`, or the dimensions differ.
    """
    a, b = as_features("real features", real, least, why), as_features("fake features", fake, least, why)
    if a.shape[1] != b.shape[1]:
        raise EvaluationError(
            f"real features have {a.shape[1]} dimensions and fake features {b.shape[1]}; use one extractor for both"
        )
    return a, b.to(a.device)
