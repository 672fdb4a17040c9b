"""The ranges that networks' constructors accept, as types that the catalog checks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

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
