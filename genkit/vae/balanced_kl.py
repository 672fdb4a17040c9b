"""NVAE's weights of the divergences of its levels during warm-up (Vahdat & Kautz 2020, arXiv:2007.03898)."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

from genkit.core.errors import RecipeError
from genkit.core.processes import whole_batch
from genkit.vae.bound import Inferred
from genkit.vae.latent_priors import StandardNormal
from genkit.vae.networks.gaussian import Gaussian
from genkit.vae.slots import Divergence
from genkit.vae.vae import VAE


class BalancedKL(Divergence):
    """The divergences of all levels, in closed form; during warm-up large ones count more.

    While beta < 1, level l has the weight gamma_l ~ (mean |KL_l| + 0.01) / s_l, of mean one, so that no level falls
    into disuse; s_l is its number of latents over the number of levels of the same size. At beta = 1 it is the bound
    itself. The divisor s_l is that of the authors' code.
    """

    def __init__(self) -> None: ...

    def check(self, vae: VAE) -> None:
        if not isinstance(vae.latent_prior, StandardNormal):
            raise RecipeError(
                f"divergence: balanced_kl needs the prior standard_prior, got {type(vae.latent_prior).__name__}"
            )

    def __call__(self, found: Inferred, beta: float) -> Tensor:
        of_levels = torch.stack(divergences(found), 1)
        if beta >= 1:
            return of_levels.sum(1)
        weight = (whole_batch(of_levels.detach()).abs().mean(0) + 0.01) / self.sizes(found)
        return (of_levels * (weight / weight.mean())).sum(1)

    @staticmethod
    def sizes(found: Inferred) -> Tensor:
        """s_l of all levels, (L,)."""
        dims = [z.shape[1] for z in found.latents]
        alike = Counter(dims)
        return found.latents[0].new_tensor([dim / alike[dim] for dim in dims])


def divergences(found: Inferred) -> list[Tensor]:
    """KL(q(z_l | x, ...) || p(z_l | ...)) in nats, (B,) each, below a standard normal top; of flows, by a sample."""
    exact = []
    for z, (prior, q), log_q, log_p in zip(found.latents, found.levels, found.log_q, found.log_p, strict=True):
        standard = Gaussian(torch.zeros_like(z), torch.zeros_like(z))
        exact.append(q.divergence(prior or standard) if isinstance(q, Gaussian) else log_q - log_p)
    return exact
