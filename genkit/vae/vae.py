"""Variational autoencoders: one or more levels of latents, any prior on the top one.

Kingma & Welling 2014, arXiv:1312.6114; the bound of several samples: Burda et al. 2016, arXiv:1509.00519.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from genkit.core import tree
from genkit.core.condition import Condition
from genkit.core.errors import DataError, GenkitError, RecipeError
from genkit.core.evaluating import evaluating
from genkit.core.generator import LatentGenerator, Likelihood
from genkit.core.graph import Graph
from genkit.core.randomness import Randomness, Rows
from genkit.core.tree import Tree
from genkit.images.pixels import check_images
from genkit.vae.bound import Bound, Decoded, Inferred, LogPrior, importance_weighted
from genkit.vae.exemplars import Exemplars
from genkit.vae.latent_priors import ExemplarPrior, LatentPrior, StandardNormal
from genkit.vae.networks.gaussian import Gaussian
from genkit.vae.networks.vae_network import Level, Pixels, Seen, VAENetwork, finish
from genkit.vae.pixel_likelihoods import Bernoulli, PixelLikelihood

ROWS = 8192
"""Latents that go through the networks at a time when a bound of many samples is computed."""


class VAE(LatentGenerator):
    """x ~ p(x | z_1..z_L), z_l ~ p(z_l | z_1..z_(l-1)), z_1 ~ prior. Samples are the decoder's means.

    A latent is the tuple (z_1, noise_2, ..., noise_L): z_1 (n, D_1) and the standard normal noise (n, D_l) of each
    lower z_l. Where the decoder is autoregressive the uniform noise of the pixels (n, C, H, W) comes last.

    Args:
        network: encoders and decoder.
        likelihood: of pixels; None is Bernoulli.
        prior: of the top latent; None is the standard normal.

    Attributes:
        latent_shapes: of the parts of a latent, without n.

    Raises:
        RecipeError: the likelihood needs a scale or a mixture that the network does not give, or the other way round.
    """

    def __init__(
        self, network: VAENetwork, likelihood: PixelLikelihood | None = None, prior: LatentPrior | None = None
    ):
        super().__init__()
        self.network, self.likelihood = network, likelihood or Bernoulli()
        self.latent_prior = prior or StandardNormal()
        self.latent_prior.setup(network)
        self.binary = self.likelihood.binary
        self.sample_shape, self.latent_dims = tuple(network.sample_shape), tuple(network.latent_dims)
        pixels = [self.sample_shape] if network.autoregressive else []
        self.latent_shapes = [*((dim,) for dim in self.latent_dims), *pixels]
        if network.scaled != self.likelihood.scaled:
            raise RecipeError(
                f"the likelihood {type(self.likelihood).__name__} needs a network with scaled: "
                f"{str(self.likelihood.scaled).lower()}, got scaled: {str(network.scaled).lower()}"
            )
        if bool(network.mixture) != self.likelihood.mixed:
            needed = "a network with a mixture, such as mixture: 10" if self.likelihood.mixed else "one with mixture: 0"
            raise RecipeError(
                f"the likelihood {type(self.likelihood).__name__} needs {needed}, got mixture: {network.mixture}"
            )

    @property
    def exemplars(self) -> Exemplars:
        """The exemplars of its prior.

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
        return check_images(x, self.sample_shape).to(self.device)

    # Sampling

    @property
    def standard_normal(self) -> bool:
        return isinstance(self.latent_prior, StandardNormal) and not self.network.autoregressive

    def latents(self, randomness: Randomness) -> Tree:
        mixture = self.latent_prior.mixture(self.network)
        component = randomness.integers(len(mixture.means)).to(self.device)
        noise = randomness.normal(self.latent_dims[0]).to(self.device)
        return self.beside_noise(mixture.at(component, noise), randomness)

    def beside_noise(self, top: Tensor, randomness: Randomness) -> tuple[Tensor, ...]:
        """Top latents (n, D_1) -> whole latents, the noise of all lower parts drawn from `randomness`."""
        noise = [randomness.normal(dim) for dim in self.latent_dims[1:]]
        if self.network.autoregressive:
            noise.append(randomness.uniform(*self.sample_shape))
        return (top, *(part.to(self.device) for part in noise))

    def forward(self, z: Tree, condition: Condition | None = None) -> Tensor:
        return self.likelihood.images(self.decode(z).pixels.mean.float())

    def graph(self) -> Graph:
        if self.network.autoregressive:
            raise GenkitError(
                "a vae with an autoregressive decoder cannot be exported: it draws one pixel after the other, a pass "
                "through its network for each"
            )
        return super().graph()

    def decode(self, z: Tree) -> Decoded:
        """Decodes latents, with a graph, to z_1..z_L and the distribution of the pixels.

        Raises:
            DataError: parts of other shapes than `latent_shapes`.
        """
        top, *noise = self._parts(z)
        levels = self.network.levels()
        next(levels)
        latents, priors = [top], list[Gaussian]()
        for eps in noise[: len(self.latent_dims) - 1]:
            prior = levels.send(latents[-1]).prior
            assert prior is not None
            priors.append(prior)
            latents.append(prior.at(eps))
        return Decoded(latents, priors, self._pixels(finish(levels, latents[-1]), noise))

    def _parts(self, z: Tree) -> list[Tensor]:
        parts = tree.leaves(z)
        if [tuple(part.shape[1:]) for part in parts] != self.latent_shapes:
            wanted = ", ".join(f"(n, {', '.join(map(str, shape))})" for shape in self.latent_shapes)
            raise DataError(
                f"a latent of this VAE is z_1 and the noise of the lower parts, {wanted}; "
                f"got {', '.join(str(tuple(part.shape)) for part in parts) or 'nothing'}"
            )
        return parts

    def _pixels(self, h: Any, noise: Sequence[Tensor]) -> Pixels:
        """The pixels' distribution; an autoregressive decoder draws one pixel after the other, each from its mean."""
        if not self.network.autoregressive:
            return self.network.decode(h)
        uniform = noise[-1]
        x, (_, height, width) = torch.zeros_like(uniform), self.sample_shape
        for i in range(height):
            for j in range(width):
                drawn = self.likelihood.draw(self.network.decode(h, x), uniform)
                x[:, :, i, j] = drawn[:, :, i, j]
        return self.network.decode(h, x)

    def log_prior(self, decoded: Decoded) -> list[Tensor]:
        """log p(z_l | z_1..z_(l-1)) in nats, (B,) for each level, top first, with a graph.

        The density of the noise behind z_l is log N(noise_l; 0, I) instead: higher by the logarithm of the prior's
        standard deviations.
        """
        top, *below = decoded.latents
        mixture = self.latent_prior.mixture(self.network)
        return [mixture.log_density(top), *(p.log_density(z) for p, z in zip(decoded.priors, below, strict=True))]

    # Likelihood

    def observed(self, x: Tensor, randomness: Randomness) -> Tensor:
        """Observed values of images x, for a bound; newly binarised or dequantised if the likelihood is noisy."""
        uniform = randomness.uniform(*self.sample_shape) if self.likelihood.noisy else None
        return self.likelihood.observe(self.likelihood.values(x), uniform)

    def bound(self, x: Tensor, noise: Sequence[Tensor], log_prior: LogPrior, seen: Seen | None = None) -> Bound:
        """One term of the lower bound for each x, with a graph. Norouzi et al. 2020, Eq. 2.

        Args:
            x: observed values (B, C, H, W), see `PixelLikelihood.observe`.
            noise: standard normal (B, D_l) for each level, top first.
            log_prior: of the top latent.
            seen: result of the bottom-up pass over x, if it is known.
        """
        return self.bound_of(x, self.infer(x, noise, log_prior, seen))

    def bound_of(self, x: Tensor, found: Inferred) -> Bound:
        """The term of the bound for latents inferred from observed values x."""
        zero = x.new_zeros(())
        return Bound(self.likelihood.log_prob(x, found.pixels), sum(found.log_q, zero) - sum(found.log_p, zero))

    def infer(self, x: Tensor, noise: Sequence[Tensor], log_prior: LogPrior, seen: Seen | None = None) -> Inferred:
        """Latents of observed values x from their posteriors, decoded; arguments as of `bound`."""
        levels = self.network.levels(self.network.bottom_up(x) if seen is None else seen)
        found, latents, log_q, log_p = list[Level](), list[Tensor](), list[Tensor](), list[Tensor]()
        for eps in noise:
            found.append(levels.send(latents[-1] if latents else None))
            prior, q = found[-1]
            assert q is not None
            z, density = q.drawn(eps)
            latents.append(z)
            log_q.append(density)
            log_p.append((log_prior if prior is None else prior.log_density)(z))
        return Inferred(latents, found, log_q, log_p, self.network.decode(finish(levels, latents[-1]), x))

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

        Grey images are binarised once, from rng, where the likelihood is Bernoulli, and dequantised once where it is a
        density: the bound is then on the log-probability of their 8-bit levels. The numbers of an image do not
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
            observed = self.observed(self.check(x), rows)
            noise = [rows.normal(samples, dim) for dim in self.latent_dims]
            components = len(self.latent_prior.mixture(self.network).means)
            parts = self.importance_bound(observed, noise, nearest if nearest < components else 0)
        note = f", {nearest} of {components} exemplars" if 0 < nearest < components else ""
        dequantised = self.likelihood.noisy and not self.binary
        return importance_weighted(parts, note + (", levels dequantised" if dequantised else ""))

    def importance_bound(self, x: Tensor, noise: Sequence[Tensor], nearest: int = 0) -> Bound:
        """Every term of a bound of S samples; each image is seen once.

        Args:
            x: observed values (B, C, H, W).
            noise: standard normal (B, S, D_l) for each level, top first.
            nearest: components of the prior, see `log_likelihood`.

        Returns:
            reconstruction and divergence, (B, S) each.
        """
        seen, whole, samples = self.network.bottom_up(x), self.latent_prior.mixture(self.network), noise[0].shape[1]
        limit, terms = min(ROWS, self.network.rows), []
        images = 1 if nearest else max(1, limit // samples)
        together = torch.arange(len(x) * samples, device=x.device).split(images * samples)
        for chunk in chain.from_iterable(rows.split(limit) for rows in together):
            of = chunk // samples
            prior = whole.nearest(seen[0].mean[of[0]], nearest) if nearest else whole
            eps = [level.flatten(0, 1)[chunk] for level in noise]
            terms.append(self.bound(x[of], eps, prior.log_density, tree.map(lambda rows, of=of: rows[of], seen)))
        return Bound(*(torch.cat(of).unflatten(0, (-1, samples)) for of in zip(*terms, strict=True)))
