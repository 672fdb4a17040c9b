"""SeFa: directions in closed form, of the first affine map of a latent. Shen & Zhou 2021, arXiv:2007.06600."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from genkit.core.errors import GenkitError
from genkit.core.precision import wide
from genkit.posthoc.directions.deformators import check_orthogonal


class Found(NamedTuple):
    """Directions in closed form.

    Attributes:
        rows: (K, D), of length one, the strongest first; the largest entry of each is positive.
        strengths: (K,) eigenvalues of SeFa, or standard deviations of GANSpace.
        mean: (D,) of the latents, zero where none were looked at.
    """

    rows: Tensor
    strengths: Tensor
    mean: Tensor


def sefa(weight: Tensor, directions: int | None = None, normalised: bool = True) -> Found:
    """The unit n that move y = A z most, |A n|^2: eigenvectors of A^T A, Eq. 4, sorted, which the authors' may not be.

    Args:
        weight: A (outputs, D), in any type; computed in float64.
        directions: how many; all if not said.
        normalised: rows of A are brought to length one first, as the authors do for StyleGAN.

    Raises:
        GenkitError: weights that are not finite, or more directions than D.
    """
    a = checked(weight, "weights of the affine map")
    check_orthogonal(directions or 1, a.shape[1])
    if normalised:
        a = torch.nn.functional.normalize(a, dim=1)
    values, vectors = torch.linalg.eigh(a.T @ a)
    rows = signed(vectors.flip(1).T)[:directions]
    return Found(rows, values.flip(0)[:directions].clamp_min(0), torch.zeros(a.shape[1], dtype=a.dtype))


def checked(x: Tensor, what: str) -> Tensor:
    """x in float64.

    Raises:
        GenkitError: numbers that are not finite.
    """
    if bad := int((~x.isfinite()).sum()):
        raise GenkitError(f"{bad:,} of the {x.numel():,} {what} are not finite; train the generator anew")
    return wide(x)


def signed(rows: Tensor) -> Tensor:
    """Rows (K, D), each with the sign that makes its largest entry positive: a sign is free, and so it is one."""
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    return torch.where(largest < 0, -rows, rows)
