"""GANSpace: principal components of latents or of activations. Härkönen et al. 2020, arXiv:2004.02546."""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.core.precision import wide
from genkit.posthoc.directions.sefa import Found, signed


def ganspace(w: Tensor, directions: int | None = None) -> Found:
    """Principal components of latents w (N, D), such as StyleGAN's, Sec. 2.1; in float64.

    Standard deviations are those of the population, with N - 1.
    """
    w = wide(w)
    mean = w.mean(0)
    _, scale, rows = torch.linalg.svd(w - mean, full_matrices=False)
    return Found(signed(rows[:directions]), scale[:directions] / (len(w) - 1) ** 0.5, mean)


def ganspace_z(z: Tensor, activations: Tensor, directions: int | None = None) -> Found:
    """Directions of z (N, D) that move along the principal components of activations (N, F), Sec. 2.2.

    The components' coordinates, in units of their deviation, are fitted by z = U x with least squares; rows are the
    columns of U, of length one.
    """
    found = ganspace(activations, directions)
    x = (wide(activations) - found.mean) @ found.rows.T / found.strengths
    z = wide(z)
    mean = z.mean(0)
    u = torch.linalg.lstsq(x, z - mean).solution
    return Found(torch.nn.functional.normalize(u, dim=1), found.strengths, mean)
