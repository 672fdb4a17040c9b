"""p(z) of a variational autoencoder: all are mixtures of Gaussians with equal weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core.errors import GenkitError
from genkit.core.nearest import nearest
from genkit.core.pretrained import Configured
from genkit.vae.log_mixture import LeaveOut, log_mixture
from genkit.vae.networks.vae_network import VAENetwork


@dataclass(frozen=True)
class Mixture:
    """Gaussians of equal weight.

    Attributes:
        means: (M, D).
        log_variance: one number shared by all, or (M, D).
        size: divisor of the sum, if these are only some of the components; None is M.
    """

    means: Tensor
    log_variance: Tensor
    size: int | None = None

    def log_density(self, z: Tensor, leave_out: LeaveOut | None = None, count: Tensor | None = None) -> Tensor:
        """(B, D) -> (B,) in nats; see `log_mixture`."""
        if count is None and self.size is not None:
            count = z.new_full((len(z),), self.size)
        return log_mixture(z, self.means, self.log_variance, leave_out=leave_out, count=count)

    def nearest(self, z: Tensor, k: int) -> Mixture:
        """Only the k components with means nearest to z (D,), their weights unchanged: a density nowhere higher than
        the whole one, and almost as high near z."""
        near = nearest(z[None], self.means, min(k, len(self.means)))[0][0]
        log_variance = self.log_variance if self.log_variance.numel() == 1 else self.log_variance[near]
        return Mixture(self.means[near], log_variance, len(self.means))

    def at(self, component: Tensor, noise: Tensor) -> Tensor:
        """Samples (n, D) of the components (n,) int64, from standard normal noise (n, D)."""
        shared = self.log_variance.numel() == 1
        log_variance = self.log_variance if shared else self.log_variance[component]
        return self.means[component] + (log_variance / 2).exp() * noise


class LatentPrior(Configured, nn.Module, ABC):
    """The prior of the top latent."""

    def setup(self, network: VAENetwork) -> None:
        """Called once, by the VAE that it becomes part of: sets up parameters that must fit `network`."""

    @abstractmethod
    def mixture(self, network: VAENetwork) -> Mixture:
        """The whole prior, with a graph where there is one."""


class StandardNormal(LatentPrior):
    """N(0, I): a mixture of one."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, 0), persistent=False)

    def setup(self, network: VAENetwork) -> None:
        self.mean = torch.zeros(1, network.latent_dims[0])

    def mixture(self, network: VAENetwork) -> Mixture:
        return Mixture(self.mean, self.mean.new_zeros(1))


class VampPrior(LatentPrior):
    """The posteriors of learned pseudo-inputs. Tomczak & Welling 2018, arXiv:1705.07120, Eq. 9.

    Args:
        components: number of pseudo-inputs.
        mean, std: of the normal distribution that their pixels start from; values outside [0, 1] are cut when used
            and get no gradient.
    """

    def __init__(
        self,
        components: Annotated[int, Field(ge=1)] = 500,
        mean: float = 0.4,
        std: Annotated[float, Field(ge=0)] = 0.05,
    ):
        super().__init__()
        self.components, self.mean, self.std = components, mean, std
        self.pseudo_inputs = nn.Parameter(torch.zeros(components, 0))

    def setup(self, network: VAENetwork) -> None:
        shape = (self.components, *network.sample_shape)
        self.pseudo_inputs = nn.Parameter(torch.randn(shape) * self.std + self.mean)

    def mixture(self, network: VAENetwork) -> Mixture:
        posterior = network.posterior(self.pseudo_inputs.clamp(0, 1))
        return Mixture(posterior.mean, posterior.log_variance)


class ExemplarPrior(LatentPrior):
    """Gaussians around the encoded exemplars, one learned variance for all. Norouzi et al. 2020, Eq. 5.

    The exemplars belong to the model: it can neither be sampled nor scored without their means.

    Args:
        exemplars: number of means; a recipe leaves it at 0, training puts in those of its data.
        origin: the data they came from, `{data, fingerprint, items}` for each set.
        start: the logarithm of the variance that learning starts from. None draws it from N(0, 1), as the authors do;
            a short training may not get far from there.
    """

    means: Tensor

    def __init__(
        self,
        exemplars: Annotated[int, Field(ge=0)] = 0,
        origin: list[dict[str, Any]] | None = None,
        start: float | None = None,
    ):
        super().__init__()
        self.exemplars, self.origin = exemplars, list(origin or [])
        self.log_variance = nn.Parameter(torch.randn(1) if start is None else torch.full((1,), float(start)))

        self.register_buffer("means", torch.zeros(exemplars, 0))

    def setup(self, network: VAENetwork) -> None:
        self.means = torch.zeros(self.exemplars, network.latent_dims[0])

    def put(self, means: Tensor, origin: list[dict[str, Any]]) -> None:
        """Replaces all means by (N, D) `means`."""
        self.means, self.exemplars, self.origin = means, len(means), origin
        # The generator's config refers to this very dictionary, so that its weights folder is right as well.
        self.config.update(exemplars=len(means), origin=origin or None)

    def around(self, means: Tensor) -> Mixture:
        """The prior with other exemplars' means (M, D)."""
        return Mixture(means, self.log_variance)

    def mixture(self, network: VAENetwork) -> Mixture:
        if not self.exemplars:
            raise GenkitError(
                "this generator has no exemplars, so it has no prior; give it some with "
                "generator.exemplars.replace(images)"
            )
        return self.around(self.means)
