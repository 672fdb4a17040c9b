"""Black images, for a training that looks at none."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from genkit.data.dataset import DataSet


def blank(
    size: Annotated[int, Field(ge=1, le=4096)] = 32,
    channels: Annotated[int, Field(ge=1, le=16)] = 1,
    n: Annotated[int, Field(ge=1, le=10_000)] = 1,
) -> DataSet:
    """n black images, for a training that looks at none, such as that of directions."""
    return DataSet("blank", torch.zeros(n, channels, size, size, dtype=torch.uint8))
