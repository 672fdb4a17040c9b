"""A data set with junk in it on purpose, and which rows the junk is."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genkit.core.errors import DataError
from genkit.data.dataset import DataSet

OutlierShare = Annotated[float, Field(ge=0, lt=0.5)]


class OutlierMixture(DataSet):
    """A DataSet some of whose rows were replaced.

    Attributes:
        outliers: (N,) bool, true where a row is junk.
    """

    outliers: Tensor


def outlier_mixture(
    data: DataSet,
    share: OutlierShare = 0.05,
    junk: DataSet | None = None,
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0,
) -> OutlierMixture:
    """`data` with round(share N) rows, drawn by `seed`, replaced; an outlier keeps label and
    attributes of the row it replaced.

    Args:
        data: the clean set.
        share: of the rows, 0 to below 0.5.
        junk: source of the outliers, drawn without replacement; None is uniform noise, over all grey levels or over
            the box of the points.

    Raises:
        DataError: a share of 0.5 or more, junk of another shape, or too little of it.
    """
    if not 0 <= share < 0.5:
        raise DataError(f"outlier_mixture: a share of 0 to below 0.5 may be junk, got {share}")
    rng, count = torch.Generator().manual_seed(seed), round(share * len(data))
    rows = torch.randperm(len(data), generator=rng)[:count]
    x = data.x.clone()
    x[rows] = _noise(data.x, count, rng) if junk is None else _drawn(junk, data, count, rng)
    kind = "noise" if junk is None else junk.name
    mixture = OutlierMixture(
        f"{data.name} with {100 * share:g} % {kind}",
        x,
        data.labels,
        data.classes,
        data.report,
        data.unlabelled,
        attributes=data.attributes,
        columns=data.columns,
        sided=data.sided,
    )
    outliers = torch.zeros(len(data), dtype=torch.bool)
    outliers[rows] = True
    object.__setattr__(mixture, "outliers", outliers)
    return mixture


def _noise(x: Tensor, count: int, rng: torch.Generator) -> Tensor:
    shape = (count, *x.shape[1:])
    if x.dtype == torch.uint8:
        return torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8)
    low, high = x.min(0).values, x.max(0).values
    return low + (high - low) * torch.rand(shape, generator=rng)


def _drawn(junk: DataSet, data: DataSet, count: int, rng: torch.Generator) -> Tensor:
    if junk.sample_shape != data.sample_shape or junk.x.dtype != data.x.dtype:
        raise DataError(
            f"outlier_mixture: junk samples are {list(junk.sample_shape)}, the data's {list(data.sample_shape)}; "
            "set size and channels of one to those of the other"
        )
    if len(junk) < count:
        raise DataError(f"outlier_mixture: {count} outliers are wanted, {junk.name} has {len(junk)}")
    return junk.x[torch.randperm(len(junk), generator=rng)[:count]]
