"""The variational bound of given images, term by term."""

from __future__ import annotations

import math

import torch
from einops import reduce
from torch import Tensor

from genkit.core.generator import Likelihood
from genkit.core.precision import wide
from genkit.core.progress import Progress
from genkit.core.randomness import Randomness
from genkit.diffusion.denoising import Denoising, steps_like
from genkit.diffusion.losses import bound_term, gaussian_kl
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import silence


def bound_terms(denoising: Denoising, x0: Tensor, noise: Randomness, watch: Progress = silence) -> dict[str, Tensor]:
    """The bound's terms in bits per dimension, and squared errors, from the noisiest step to the first.

    Returns:
        "bound" (B, T) and "prior" (B,); and, in squared units of x and of the noise, "x0_mse" and "eps_mse" (B, T). One
        fresh noise a step, x_0 clipped.
    """
    process, rows = denoising.process, []
    for i in reversed(range(len(process))):
        at, eps = steps_like(i, x0), noise.normal(*x0.shape[1:])
        x_t = process.noised(x0, at, eps)
        rows.append(_terms(denoising, x0, x_t, eps, at))
        watch(len(process) - i, len(process))
    return {name: torch.stack([row[name] for row in rows], 1) for name in rows[0]} | {"prior": prior_term(process, x0)}


def _terms(denoising: Denoising, x0: Tensor, x_t: Tensor, eps: Tensor, at: Tensor) -> dict[str, Tensor]:
    process = denoising.process
    output = denoising.output(x_t, process.timesteps[at])
    p = process.predict(output, x_t, at, clip=denoising.clip)
    return {
        "bound": bound_term(process, output, x0, x_t, at, clip=denoising.clip),
        "x0_mse": reduce((p.x0 - x0) ** 2, "b ... -> b", "mean"),
        "eps_mse": reduce((process.eps_from_x0(p.x0, x_t, at) - eps) ** 2, "b ... -> b", "mean"),
    }


def prior_term(process: Process, x0: Tensor) -> Tensor:
    """KL(q(x_T | x_0) || N(0, I)), (B,) bits per dimension."""
    last = steps_like(len(process) - 1, x0)
    mean = process.look_up("signal", last, x0) * x0
    log_variance = (1 - process.look_up("abar", last, x0)).log().expand_as(x0)
    kl = gaussian_kl(mean, log_variance, torch.zeros_like(x0), torch.zeros_like(x0))
    return reduce(kl, "b ... -> b", "mean") / math.log(2)


def variational_bound(denoising: Denoising, x0: Tensor, noise: Randomness, watch: Progress = silence) -> Likelihood:
    """A lower bound on log p(x0) and its parts, all in nats an image; the parts sum to the bound."""
    terms = bound_terms(denoising, x0, noise, watch)
    bits = wide(terms["bound"]).sum(1) + wide(terms["prior"])
    nats = bits * math.log(2) * x0[0].numel()
    per_image = math.log(2) * x0[0].numel()
    return Likelihood(
        -nats,
        f"variational lower bound, {len(denoising.process)} steps",
        {
            "reconstruction": -wide(terms["bound"][:, -1]) * per_image,
            "steps": -wide(terms["bound"][:, :-1]).sum(1) * per_image,
            "prior": -wide(terms["prior"]) * per_image,
        },
    )
