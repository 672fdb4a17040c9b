"""GANSpace: principal components of latents or of activations. Härkönen et al. 2020, arXiv:2004.02546."""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.core.errors import GenkitError
from genkit.core.precision import wide
from genkit.posthoc.directions.sefa import Found, checked, signed

EPS = torch.finfo(torch.float64).eps


def ganspace(w: Tensor, directions: int | None = None) -> Found:
    """Principal components of latents w (N, D), such as StyleGAN's, Sec. 2.1; in float64.

    Standard deviations are those of the population, with N - 1.

    Raises:
        GenkitError: numbers that are not finite, or more directions than N latents span.
    """
    w = checked(w, "numbers looked at")
    if (directions or 1) > (most := min(len(w) - 1, w.shape[1])):
        raise GenkitError(f"directions: {len(w):,} latents of {w.shape[1]} numbers span {most}, got {directions or 1}")
    mean = w.mean(0)
    _, scale, rows = torch.linalg.svd(w - mean, full_matrices=False)
    return Found(signed(rows[:directions]), scale[:directions] / (len(w) - 1) ** 0.5, mean)


def ganspace_z(z: Tensor, activations: Tensor, directions: int | None = None) -> Found:
    """Directions of z (N, D) that move along the principal components of activations (N, F), Sec. 2.2.

    The components' coordinates, in units of their deviation, are fitted by z = U x with least squares; rows are the
    columns of U, of length one. Components that do not vary are left out.

    Raises:
        GenkitError: as of `ganspace`, or fewer components vary than are asked for.
    """
    found = ganspace(activations, directions)
    vary = int((found.strengths > max(activations.shape) * EPS * found.strengths[0]).sum())
    if vary < (directions or 1):
        raise GenkitError(f"directions: the activations vary along {vary} components, got {directions or 1}")
    found = Found(found.rows[:vary], found.strengths[:vary], found.mean)
    x = (wide(activations) - found.mean) @ found.rows.T / found.strengths
    z = wide(z)
    mean = z.mean(0)
    u = torch.linalg.lstsq(x, z - mean).solution
    return Found(torch.nn.functional.normalize(u, dim=1), found.strengths, mean)
