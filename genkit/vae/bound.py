"""Values that a variational autoencoder computes for latents and images, and the bounds made of them.

Kingma & Welling 2014, arXiv:1312.6114; the bound of several samples: Burda et al. 2016, arXiv:1509.00519.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from genkit.core.generator import Likelihood
from genkit.core.precision import wide
from genkit.vae.networks.gaussian import Gaussian
from genkit.vae.networks.vae_network import Level, Pixels

LogPrior = Callable[[Tensor], Tensor]
"""Top latents (B, D) -> log p (B,)."""


@dataclass(frozen=True)
class Decoded:
    """Decoded latents: all levels, and the distribution of the pixels.

    Attributes:
        latents: z_1, ..., z_L, (B, D_l) each.
        priors: p(z_l | z_1..z_(l-1)) of all but the top.
        pixels: p(x | z_1..z_L), as the likelihood reads it.
    """

    latents: list[Tensor]
    priors: list[Gaussian]
    pixels: Pixels


@dataclass(frozen=True)
class Inferred:
    """Latents drawn from the posteriors of images, with their densities and the distribution of the pixels.

    Attributes:
        latents: z_1, ..., z_L, (B, D_l) each.
        levels: the prior and the posterior of each.
        log_q: log q(z_l | x, z_1..z_(l-1)), (B,) each.
        log_p: log p(z_l | z_1..z_(l-1)), (B,) each.
        pixels: p(x | z_1..z_L), as the likelihood reads it.
    """

    latents: list[Tensor]
    levels: list[Level]
    log_q: list[Tensor]
    log_p: list[Tensor]
    pixels: Pixels


class Bound(NamedTuple):
    """log p(x | z) and log q(z | x) - log p(z) of one z for each x, (B,) each, in nats."""

    reconstruction: Tensor
    divergence: Tensor

    @property
    def log_weight(self) -> Tensor:
        """log p(x, z) - log q(z | x): its mean is a lower bound on log p(x), the mean of its exponential is p(x)."""
        return self.reconstruction - self.divergence


def importance_weighted(terms: Bound, note: str = "") -> Likelihood:
    """From terms (B, S): log of the mean weight, Burda et al. 2016, Eq. 8; with S = 1 the evidence lower bound."""
    log_weight, samples = wide(terms.log_weight), terms.log_weight.shape[1]
    share = log_weight.softmax(1)
    return Likelihood(
        log_weight.logsumexp(1) - math.log(samples),
        ("variational lower bound, 1 sample" if samples == 1 else f"importance-weighted lower bound, {samples} samples")
        + note,
        {
            "elbo": log_weight.mean(1),
            "reconstruction": wide(terms.reconstruction).mean(1),
            "kl": wide(terms.divergence).mean(1),
        },
        {"effective_sample_size": 1 / share.square().sum(1), "log_weight_sd": log_weight.std(1, correction=0)},
    )
