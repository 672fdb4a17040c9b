"""Sets of points in the plane whose density is known."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from genkit.core.errors import DataError
from genkit.core.mixture import PointMixture
from genkit.data.dataset import DataSet

PointCount = Annotated[int, Field(ge=1, le=10_000_000)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def _grid25() -> Tensor:
    line = torch.arange(-2.0, 3.0)
    return torch.cartesian_prod(line, line)


def _circle8() -> Tensor:
    angle = torch.arange(8) * (math.pi / 4)
    return 2 * torch.stack([angle.cos(), angle.sin()], dim=1)


CENTRES = {"gaussians25": _grid25(), "gaussians8": _circle8()}
"""name -> (K, 2)."""


def gaussians25(n: PointCount = 100_000, std: PositiveFloat = 0.05, seed: Seed = 0) -> DataSet:
    """25 Gaussians at the whole numbers of [-2, 2]^2, equally likely, labelled by mode.

    The grid of Gulrajani et al. 2017 (appendix, toy sets) before their division by 2.828.
    """
    return _mixture("gaussians25", n, std, seed)


def gaussians8(n: PointCount = 100_000, std: PositiveFloat = 0.02, seed: Seed = 0) -> DataSet:
    """8 Gaussians on a circle of radius 2, equally likely, labelled by mode.

    The ring of Gulrajani et al. 2017 before their division by 1.414.
    """
    return _mixture("gaussians8", n, std, seed)


def swiss_roll(n: PointCount = 100_000, std: PositiveFloat = 0.25, seed: Seed = 0) -> DataSet:
    """The spiral t (cos t, sin t), t uniform in [1.5 pi, 4.5 pi], plus noise of `std`, divided by 7.5; no labels.

    As in Gulrajani et al. 2017, so that points lie in about [-2, 2].
    """
    rng = torch.Generator().manual_seed(seed)
    t = 1.5 * math.pi * (1 + 2 * torch.rand(_at_least_one(n), generator=rng))
    roll = torch.stack([t * t.cos(), t * t.sin()], dim=1)
    return DataSet("swiss_roll", (roll + std * torch.randn(n, 2, generator=rng)) / 7.5)


def _mixture(name: str, n: int, std: float, seed: int) -> DataSet:
    rng = torch.Generator().manual_seed(seed)
    centres = CENTRES[name]
    mode = torch.randint(len(centres), (_at_least_one(n),), generator=rng)
    x = centres[mode] + std * torch.randn(n, 2, generator=rng)
    return DataSet(name, x, mode, tuple(str(k) for k in range(len(centres))), mixture=PointMixture(centres, std))


def _at_least_one(n: int) -> int:
    if n < 1:
        raise DataError(f"a point set needs at least 1 point, got n={n}")
    return n
