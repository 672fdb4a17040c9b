"""Batches in which a pair of images shares one slice of z, and the loss that makes slices stand for attributes.

Shoshan et al. 2021, arXiv:2101.02477, Sec. 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.core.errors import GenkitError, suggest

Distance = Literal["squared", "mean_absolute", "gram", "colour"]
SEEN = 0.01
"""Share of an image that a mask must cover, for its colour to be compared."""


def paired(z: Tensor, slices: Mapping[str, slice], rows: Mapping[str, int]) -> Tensor:
    """z (B, D), in which row 2j + 1 of a group takes the group's slice of row 2j, all else staying as it is.

    Args:
        slices: of z, by name.
        rows: how many, an even number, each group has; groups lie one after the other, from row 0 on. Rows beyond them
            stay as they are.

    Raises:
        GenkitError: a group without a slice, or rows that are no pairs or more than there are.
    """
    for name, count in rows.items():
        if name not in slices:
            raise GenkitError(f"group {name} has no slice{suggest(name, slices)}")
        if count < 0 or count % 2:
            raise GenkitError(f"group {name} has pairs of rows, an even number, got {count}")
    if (asked := sum(rows.values())) > len(z):
        raise GenkitError(f"{asked} rows are asked for, of {len(z)}")
    z, start = z.clone(), 0
    for name, count in rows.items():
        first = torch.arange(start, start + count, 2, device=z.device)
        z[first + 1, slices[name]] = z[first, slices[name]]
        start += count
    return z


def equal_rows(batch: int, names: list[str]) -> dict[str, int]:
    """Rows of each group that divide a batch into pairs as equally as can be."""
    pairs = batch // 2
    return {name: 2 * (pairs // len(names) + (k < pairs % len(names))) for k, name in enumerate(names)}


def pairs_of(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows i and rows j of `rows` (B, ...), for every pair i > j: (B (B - 1) / 2, ...) each."""
    i, j = torch.tril_indices(len(rows), len(rows), -1, device=rows.device)
    return rows[i], rows[j]


def sharing(z: Tensor) -> Tensor:
    """Of every pair i > j, whether both have the same slice z (B, d): (pairs,) bool."""
    mine, other = pairs_of(z)
    return (mine == other).all(1)


def distances(features: Tensor, kind: Distance) -> Tensor:
    """d of every pair i > j of features (B, ...): (pairs,)."""
    return DISTANCES[kind](*pairs_of(features))


def _mean_absolute(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().flatten(1).mean(1)


def _colour(a: Tensor, b: Tensor) -> Tensor:
    """Of mean colours in [0, 1] and the share of the image that they are of, last; 0 where one is of too little."""
    seen = (a[:, -1] > SEEN) & (b[:, -1] > SEEN)
    return _mean_absolute(a[:, :-1], b[:, :-1]) * seen


DISTANCES: Mapping[Distance, Callable[[Tensor, Tensor], Tensor]] = {
    "squared": lambda a, b: (a - b).square().flatten(1).sum(1),
    "mean_absolute": _mean_absolute,
    "gram": lambda a, b: 1e5 * (a - b).square().flatten(1).mean(1),
    "colour": _colour,
}


def contrastive_loss(d: Tensor, same: Tensor, tau_plus: float, tau_minus: float) -> Tensor:
    """mean max(0, d - tau_plus) of the pairs that share the slice + mean max(0, tau_minus - d) of all others.

    Pairs that share another slice are among the others: that is what keeps attributes apart.

    Args:
        d, same: (pairs,), of all pairs i > j.
    """
    pull, push = F.relu(d - tau_plus), F.relu(tau_minus - d)
    return _mean(pull, same) + _mean(push, ~same)


def _mean(x: Tensor, chosen: Tensor) -> Tensor:
    return (x * chosen).sum() / chosen.sum().clamp(min=1)


def mean_colour(x: Tensor, mask: Tensor | None = None) -> Tensor:
    """The mean of each channel in [0, 1], and the share of the image that it is of: (B, C + 1).

    Args:
        x: images (B, C, H, W) in [-1, 1], or of a part: 0 outside of `mask`, (B, 1, H, W) in [0, 1].
    """
    mask = torch.ones_like(x[:, :1]) if mask is None else mask.detach()
    mean = x.sum((2, 3)) / mask.sum((2, 3)).clamp(min=1e-6)  # 0 where there is none
    return torch.cat([(mean + 1) / 2, mask.mean((2, 3))], 1)


def gram(maps: Tensor) -> Tensor:
    """Gram matrices of feature maps (B, C, H, W), each over C H W: (B, C, C)."""
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2) / flat[0].numel()
