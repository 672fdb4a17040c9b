"""Variational autoencoders: one or more levels of latents, any prior on the top one.

Kingma & Welling 2014, arXiv:1312.6114; the bound of several samples: Burda et al. 2016, arXiv:1509.00519.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from einops import rearrange
from pydantic import Field
from torch import Tensor

from genkit.core.condition import Condition
from genkit.core.errors import DataError, GenkitError, RecipeError
from genkit.core.generator import LatentGenerator, Likelihood, evaluating
from genkit.core.randomness import Randomness, Rows
from genkit.images.pixels import check_range
from genkit.vae.exemplars import Exemplars
from genkit.vae.latent_priors import ExemplarPrior, LatentPrior, StandardNormal
from genkit.vae.networks.gaussian import Gaussian
from genkit.vae.networks.vae_network import VAENetwork
from genkit.vae.pixel_likelihoods import Bernoulli, PixelLikelihood

ROWS = 8192
"""Latents that go through the networks at a time when a bound of many samples is computed."""

LogPrior = Callable[[Tensor], Tensor]
"""Top latents (B, D) -> log p (B,)."""


@dataclass(frozen=True)
class Bound:
    """log p(x | z) and log q(z | x) - log p(z) of one z for each x, (B,) each, in nats."""

    reconstruction: Tensor
    divergence: Tensor

    @property
    def log_weight(self) -> Tensor:
        """Whose mean is a lower bound on log p(x), and whose exponential's mean is p(x)."""
        return self.reconstruction - self.divergence


class VAE(LatentGenerator):
    """x ~ p(x | z_1..z_L), z_l ~ p(z_l | z_1..z_(l-1)), z_1 ~ prior. Samples are the decoder's means.

    A latent, for `prior` and `forward`, is z_1 beside the standard normal noise of the lower levels (and the uniform
    noise of the pixels, where the decoder is autoregressive).

    Args:
        network: encoders and decoder.
        likelihood: of pixels; None is Bernoulli.
        prior: of the top latent; None is the standard normal.

    Raises:
        RecipeError: the likelihood needs a scale that the network does not say, or the other way round.
    """

    def __init__(
        self, network: VAENetwork, likelihood: PixelLikelihood | None = None, prior: LatentPrior | None = None
    ):
        super().__init__()
        self.network, self.likelihood = network, likelihood or Bernoulli()
        self.latent_prior = prior or StandardNormal()
        self.latent_prior.setup(network)
        self.binary = self.likelihood.noisy
        self.sample_shape, self.latent_dims = tuple(network.sample_shape), tuple(network.latent_dims)
        if network.scaled != self.likelihood.scaled:
            raise RecipeError(
                f"the likelihood {type(self.likelihood).__name__} needs a network with scaled: "
                f"{str(self.likelihood.scaled).lower()}, got scaled: {str(network.scaled).lower()}"
            )

    @property
    def exemplars(self) -> Exemplars:
        """The exemplars that it generates by.

        Raises:
            GenkitError: its prior has none.
        """
        if not isinstance(self.latent_prior, ExemplarPrior):
            raise GenkitError(f"a VAE with the prior {type(self.latent_prior).__name__} has no exemplars")
        return Exemplars(self.latent_prior, self.encode, self.sample_shape)

    def encode(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in [-1, 1], grey levels as they are, -> means of the top latent (B, D), with a graph.

        Raises:
            DataError: another shape or range.
        """
        return self.network.posterior(self.likelihood.values(self.check(x))).mean

    def check(self, x: Tensor) -> Tensor:
        """x on the generator's device.

        Raises:
            DataError: not images in [-1, 1] of the generator's shape.
        """
        if tuple(x.shape[1:]) != self.sample_shape or not x.is_floating_point():
            raise DataError(f"images are float (B, {', '.join(map(str, self.sample_shape))}), got {_describe(x)}")
        return check_range(x).to(self.device)

    # Sampling

    def latents(self, randomness: Randomness) -> Tensor:
        mixture = self.latent_prior.mixture(self.network)
        component = randomness.integers(len(mixture.means)).to(self.device)
        return self.beside_noise(mixture.at(component, self._normal(randomness, self.latent_dims[0])), randomness)

    def beside_noise(self, top: Tensor, randomness: Randomness) -> Tensor:
        """Top latents (n, D) -> latents for `forward`, the noise of all that is below drawn from `randomness`."""
        parts = [top, *(self._normal(randomness, dim) for dim in self.latent_dims[1:])]
        if self.network.autoregressive:
            parts.append(randomness.uniform(*self.sample_shape).flatten(1).to(self.device))
        return torch.cat(parts, dim=1)

    def _normal(self, randomness: Randomness, dim: int) -> Tensor:
        return randomness.normal(dim).to(self.device)

    def forward(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        *noise, uniform = z.split([*self.latent_dims, z.shape[1] - sum(self.latent_dims)], dim=1)
        latents = noise[:1]
        for eps in noise[1:]:
            latents.append(self.network.prior(*latents).at(eps))
        return self.likelihood.images(self._means(latents, uniform).float())

    def _means(self, latents: Sequence[Tensor], uniform: Tensor) -> Tensor:
        """Of the pixels; an autoregressive decoder draws one after the other, and says the mean of each before."""
        if not self.network.autoregressive:
            return self.network.decode(*latents).mean
        uniform = uniform.unflatten(1, self.sample_shape)
        x, (_, height, width) = torch.zeros_like(uniform), self.sample_shape
        for i in range(height):
            for j in range(width):
                drawn = self.likelihood.draw(self.network.decode(*latents, x=x), uniform)
                x[:, :, i, j] = drawn[:, :, i, j]
        return self.network.decode(*latents, x=x).mean

    # Likelihood

    def bound(self, x: Tensor, noise: Sequence[Tensor], log_prior: LogPrior, top: Gaussian | None = None) -> Bound:
        """One term of the lower bound for each x, with a graph. Norouzi et al. 2020, Eq. 2.

        Args:
            x: observed values (B, C, H, W), see `PixelLikelihood.observe`.
            noise: standard normal (B, D_l) for each level, top first.
            log_prior: of the top latent.
            top: q(z_1 | x), where it is known.
        """
        network, latents = self.network, list[Tensor]()
        log_q, log_p = x.new_zeros(()), x.new_zeros(())
        for eps in noise:
            q = network.posterior(x, *latents) if latents or top is None else top
            z = q.at(eps)
            log_q = log_q + q.log_density(z)
            log_p = log_p + (network.prior(*latents).log_density(z) if latents else log_prior(z))
            latents.append(z)
        pixels = network.decode(*latents, x=x if network.autoregressive else None)
        return Bound(self.likelihood.log_prob(x, pixels), log_q - log_p)

    def log_likelihood(
        self,
        x: Tensor,
        *,
        condition: Condition | None = None,
        rng: torch.Generator | None = None,
        samples: Annotated[int, Field(ge=1)] = 100,
        nearest: Annotated[int, Field(ge=0)] = 0,
    ) -> Likelihood:
        """log p(x) by importance sampling from the posterior: a lower bound, tighter with more samples.

        Grey images are binarised once, from rng, where the likelihood is Bernoulli. The numbers of an image do not
        depend on the batch that it is in.

        Args:
            x: images (B, C, H, W) in [-1, 1].
            samples: latents drawn for each image.
            nearest: sum only this many components of the prior, those around the posterior's mean: a lower bound on
                the bound, at a part of the cost; 0 takes all.

        Raises:
            DataError: another shape or range.
            GenkitError: an exemplar prior without exemplars.
        """
        rows = Rows(len(x), rng, self.device)
        with torch.no_grad(), evaluating(self):
            values = self.likelihood.values(self.check(x))
            uniform = rows.uniform(*self.sample_shape) if self.likelihood.noisy else None
            observed = self.likelihood.observe(values, uniform)
            noise = [rows.normal(samples, dim) for dim in self.latent_dims]
            components = len(self.latent_prior.mixture(self.network).means)
            parts = self.importance_bound(observed, noise, nearest if nearest < components else 0)
        return importance_weighted(parts, f", {nearest} of {components} exemplars" if 0 < nearest < components else "")

    def importance_bound(self, x: Tensor, noise: Sequence[Tensor], nearest: int = 0) -> Bound:
        """Every term of a bound of S samples.

        Args:
            x: observed values (B, C, H, W).
            noise: standard normal (B, S, D_l) for each level, top first.
            nearest: components of the prior, see `log_likelihood`.

        Returns:
            reconstruction and divergence, (B, S) each.
        """
        top, prior, parts = self.network.posterior(x), self.latent_prior.mixture(self.network), []
        for of in torch.arange(len(x), device=x.device).split(1 if nearest else max(1, ROWS // noise[0].shape[1])):
            seen = prior.nearest(top.mean[of[0]], nearest) if nearest else prior
            q = Gaussian(top.mean[of], top.log_variance[of])
            parts.append(self._terms(x[of], [eps[of] for eps in noise], q, seen.log_density))
        return Bound(torch.cat([p.reconstruction for p in parts]), torch.cat([p.divergence for p in parts]))

    def _terms(self, x: Tensor, noise: Sequence[Tensor], top: Gaussian, log_prior: LogPrior) -> Bound:
        samples = noise[0].shape[1]
        flat = [rearrange(eps, "b s d -> (b s) d") for eps in noise]
        parts = []
        for rows in torch.arange(len(flat[0]), device=x.device).split(ROWS):
            of = rows // samples
            q = Gaussian(top.mean[of], top.log_variance[of])
            parts.append(self.bound(x[of], [eps[rows] for eps in flat], log_prior, q))
        reconstruction, divergence = (
            rearrange(torch.cat(values), "(b s) -> b s", s=samples)
            for values in zip(*((p.reconstruction, p.divergence) for p in parts), strict=True)
        )
        return Bound(reconstruction, divergence)


def importance_weighted(terms: Bound, note: str = "") -> Likelihood:
    """Of terms (B, S): log of the mean weight, Burda et al. 2016, Eq. 8; with S = 1 the evidence lower bound."""
    log_weight, samples = terms.log_weight.double(), terms.log_weight.shape[1]
    share = log_weight.softmax(1)
    return Likelihood(
        log_weight.logsumexp(1) - math.log(samples),
        ("variational lower bound, 1 sample" if samples == 1 else f"importance-weighted lower bound, {samples} samples")
        + note,
        {
            "elbo": log_weight.mean(1),
            "reconstruction": terms.reconstruction.double().mean(1),
            "kl": terms.divergence.double().mean(1),
        },
        {"effective_sample_size": 1 / share.square().sum(1), "log_weight_sd": log_weight.std(1, correction=0)},
    )


def _describe(x: Tensor) -> str:
    return f"{tuple(x.shape)} {x.dtype}"
