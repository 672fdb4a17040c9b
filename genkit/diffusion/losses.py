"""Losses of a denoiser: the simple one, the hybrid one and the pure bound; and the bound of given images, by its terms.

Ho et al. 2020, Sec. 3.4; Nichol & Dhariwal 2021, Sec. 3.1. All are means over the dimensions of an image; terms of the
bound are in bits.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Annotated, Literal

import torch
from einops import reduce
from pydantic import Field
from torch import Tensor

from genkit.core.errors import RecipeError
from genkit.core.generator import Likelihood
from genkit.core.precision import wide
from genkit.core.progress import Progress
from genkit.core.randomness import Randomness
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import Denoising, silence, steps_like

PerSample = dict[str, Tensor]


class DiffusionLoss(ABC):
    """Terms of one value a sample."""

    def check(self, process: Process) -> None:  # noqa: B027 - most losses train every process
        """Raises RecipeError for a process that this loss does not train."""

    @abstractmethod
    def __call__(self, process: Process, output: Tensor, x0: Tensor, noise: Tensor, i: Tensor) -> PerSample:
        """Terms (B,) of a network's output (B, C or 2C, ...) at the noised x0 (B, C, ...) and steps i (B,)."""


class Simple(DiffusionLoss):
    """L_simple, the squared error of the prediction. DDPM Eq. 14."""

    def check(self, process: Process) -> None:
        if process.learns_variance:
            raise RecipeError(
                f"the simple loss does not train the {process.variance} variance; "
                "take {type: hybrid}, or variance: fixed_large in the process"
            )

    def __call__(self, process: Process, output: Tensor, x0: Tensor, noise: Tensor, i: Tensor) -> PerSample:
        predicted, _ = process.split(output, x0)
        return {"mse": _mean((process.target(x0, i, noise) - predicted) ** 2)}


class Hybrid(DiffusionLoss):
    """L_simple + w * bound, whose gradient reaches the variance alone. Nichol & Dhariwal 2021, Eq. 16.

    Args:
        weight: w of one step's term in bits. "guided_diffusion" is 1; "improved_diffusion" is T / 1000, the paper's
            lambda = 0.001 on the sum over all T steps. They agree at T = 1000.
    """

    def __init__(self, weight: Literal["guided_diffusion", "improved_diffusion"] | Annotated[float, Field(gt=0)] = 1.0):
        self.weight = weight

    def check(self, process: Process) -> None:
        if not process.learns_variance:
            raise RecipeError(
                f"the hybrid loss trains the variance, but it is {process.variance}; "
                "take {type: simple}, or variance: learned_range in the process"
            )

    def weight_at(self, steps: int) -> float:
        if isinstance(self.weight, str):
            return {"guided_diffusion": 1.0, "improved_diffusion": steps / 1000}[self.weight]
        return self.weight

    def __call__(self, process: Process, output: Tensor, x0: Tensor, noise: Tensor, i: Tensor) -> PerSample:
        predicted, predicted_variance = process.split(output, x0)
        parts = [predicted.detach()] if predicted_variance is None else [predicted.detach(), predicted_variance]
        bound = bound_term(process, torch.cat(parts, 1), x0, process.noised(x0, i, noise), i, clip=False)
        return {**Simple()(process, output, x0, noise, i), "bound": self.weight_at(len(process)) * bound}


class BoundLoss(DiffusionLoss):
    """The variational bound itself, T times the term of one step; best with importance-sampled steps."""

    def __call__(self, process: Process, output: Tensor, x0: Tensor, noise: Tensor, i: Tensor) -> PerSample:
        term = bound_term(process, output, x0, process.noised(x0, i, noise), i, clip=False)
        return {"bound": len(process) * term}


def bound_term(process: Process, output: Tensor, x0: Tensor, x_t: Tensor, i: Tensor, *, clip: bool) -> Tensor:
    """One step's term of the bound, (B,) bits per dimension. DDPM Eq. 5: L_{t-1} for t > 0, L_0 for t = 0."""
    p = process.predict(output, x_t, i, clip=clip)
    true_mean, true_log_variance = process.posterior_mean(x0, x_t, i), process.look_up("log_small", i, x_t)
    later = _mean(gaussian_kl(true_mean, true_log_variance, p.mean, p.log_variance))
    first = -_mean(discretised_log_likelihood(x0, p.mean, 0.5 * p.log_variance))
    return torch.where(i == 0, first, later) / math.log(2)


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


def gaussian_kl(mean1: Tensor, log_variance1: Tensor, mean2: Tensor, log_variance2: Tensor) -> Tensor:
    """KL(N(mean1, variance1) || N(mean2, variance2)), elementwise, nats."""
    spread = (log_variance1 - log_variance2).exp() + (mean1 - mean2) ** 2 * (-log_variance2).exp()
    return 0.5 * (log_variance2 - log_variance1 - 1 + spread)


def discretised_log_likelihood(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """log of a Gaussian's mass on the bin of x, one of 256 values in [-1, 1]; the end bins are open. DDPM Eq. 13.

    As the authors do, with the tanh approximation of the normal distribution function, and at least log 1e-12.
    """
    inverse, distance = (-log_scale).exp(), x - mean
    upper = _normal_cdf(inverse * (distance + 1 / 255))
    lower = _normal_cdf(inverse * (distance - 1 / 255))
    inside = torch.where(x > 0.999, 1 - lower, upper - lower)
    return torch.where(x < -0.999, upper, inside).clamp(min=1e-12).log()


def _normal_cdf(x: Tensor) -> Tensor:
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _mean(values: Tensor) -> Tensor:
    return reduce(values, "b ... -> b", "mean")
