"""Steps in the latent space of a generator, uphill in the log ratio l of densities: DDLS and DOT.

Che et al. 2020, arXiv:2003.06060, Algorithm 1: Langevin dynamics of the energy E(z) = |z|^2 / 2 - l(G(z)).
Tanaka 2019, arXiv:1910.06832, Algorithm 2: descent of |z - z0 + delta| - l(G(z)) / k.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from genkit.core.input_gradient import input_gradient

DELTA = 1e-3
"""Keeps the norm away from 0, where it has no gradient (Tanaka 2019, Algorithm 2)."""

LatentLogits = Callable[[Tensor], Tensor]
"""z (B, D) -> l(G(z)), (B,), with a graph."""


def energy(z: Tensor, logits: Tensor) -> Tensor:
    """E(z), (B,), but for a constant, for a standard normal prior. Che et al. 2020, equation 6."""
    return z.square().sum(1) / 2 - logits


def langevin_step(z: Tensor, logits: LatentLogits, noise: Tensor, eta: float) -> Tensor:
    """z - eta / 2 grad E(z) + sqrt(eta) noise, (B, D)."""
    downhill = z - input_gradient(logits, z)
    return z - eta / 2 * downhill + math.sqrt(eta) * noise


def transport_step(
    z: Tensor, start: Tensor, logits: LatentLogits, k: float, rate: float, radial: bool = True
) -> Tensor:
    """z - rate grad [ |z - start + delta| - l(G(z)) / k ], (B, D).

    Args:
        k: Lipschitz constant of l(G(z)), see `lipschitz`.
        radial: keep the part of the gradient along z; a normal prior in many dimensions lives on a sphere, and the
            authors leave it out.
    """

    def objective(at: Tensor) -> Tensor:
        return (at - start + DELTA).norm(dim=1) - logits(at) / k

    downhill = input_gradient(objective, z)
    if not radial:
        along = (downhill * z).sum(1, keepdim=True) / z.square().sum(1, keepdim=True)
        downhill = downhill - along * z
    return z - rate * downhill


def lipschitz(z: Tensor, logits: Tensor) -> float:
    """The largest |l(G(z)) - l(G(z'))| / |z - z'| of pairs: a lower bound on the constant.

    Args:
        z: (2 B, D); number k and number B + k are a pair.
        logits: l(G(z)), (2 B,).
    """
    (one, other), (l_one, l_other) = z.chunk(2), logits.chunk(2)
    slopes = (l_one - l_other).abs() / (one - other).norm(dim=1)
    return slopes.max().item()
