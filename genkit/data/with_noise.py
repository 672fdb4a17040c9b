"""A data set with plain noise at its end, by which a search for junk is tried."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

import torch
from pydantic import Field

from genkit.core.errors import DataError
from genkit.data.dataset import DataSet


def with_noise(
    data: DataSet, count: Annotated[int, Field(ge=1)], seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
) -> DataSet:
    """`data`, and after its rows `count` images of plain noise over all levels, with the labels and attributes of rows
    that `seed` draws. What only a data set of another kind has, such as the target of `domains`, is left out.

    Raises:
        DataError: `data` holds points, not images.
    """
    if data.x.dtype != torch.uint8:
        raise DataError(f"with_noise: {data.name} holds points; noise is added to images")
    rng, n = torch.Generator().manual_seed(seed), len(data)
    like = torch.randint(n, (count,), generator=rng)
    longer = data.taken(f"{data.name} and {count} of noise", torch.cat([torch.arange(n), like]))
    x = longer.x.clone() if longer.x is data.x else longer.x
    x[n:] = torch.randint(256, (count, *data.sample_shape), generator=rng, dtype=torch.uint8)
    kept = {field.name: getattr(longer, field.name) for field in fields(DataSet)}
    return DataSet(**{**kept, "x": x, "files": ()})
