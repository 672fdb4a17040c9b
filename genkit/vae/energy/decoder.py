"""The contract of decoders for Langevin dynamics in latents and pixel noise: functions of noise alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from genkit.core import tree
from genkit.core.catalog import lacking
from genkit.core.errors import RecipeError
from genkit.core.randomness import Randomness
from genkit.core.tree import Tree
from genkit.vae.networks.gaussian import LOG_2PI
from genkit.vae.networks.vae_network import Pixels
from genkit.vae.vae import VAE


@dataclass(frozen=True)
class Drawn:
    """Samples decoded from latents and pixel noise, with their densities, all with a graph.

    Attributes:
        x: (n, C, H, W) in [0, 1].
        mean: of the pixels, like x; it may leave the range.
        log_density: of the latents, in the coordinates that they are, (n,) in nats; constants may be left out.
        log_prior, log_likelihood: log p(z) and log p(x | z), (n,) each, as the published target takes them.
    """

    x: Tensor
    mean: Tensor
    log_density: Tensor
    log_prior: Tensor
    log_likelihood: Tensor


@runtime_checkable
class NoisyDecoder(Protocol):
    """Any decoder whose samples are a differentiable function of latents and of standard normal pixel noise.

    Attributes:
        sample_shape: (C, H, W) of its samples and of the noise.
    """

    sample_shape: tuple[int, ...]

    def latents(self, randomness: Randomness) -> Tree:
        """One latent a row; a tensor, or a tree of them."""
        ...

    def draw(self, latents: Tree, noise: Tensor) -> Drawn:
        """Samples from latents and noise (n, *sample_shape); row i depends on row i of both alone."""
        ...


class DrawnVAE:
    """A VAE as a `NoisyDecoder`. Its likelihood draws pixels from noise: `at(pixels, noise)` gives values, clamped.

    The latents are z_1 and the noise of the levels below, so that their density is p(z_1) N(noise_2) ... N(noise_L):
    that of z_l given those above lacks the prior's standard deviations, which the noise does not have.

    Raises:
        RecipeError: the VAE has no pixels that are a differentiable function of noise.
    """

    def __init__(self, vae: VAE):
        if not hasattr(vae.likelihood, "at") or vae.network.autoregressive:
            raise RecipeError(
                "Langevin dynamics needs pixels that are a differentiable function of noise, as a Gaussian's are: a "
                "likelihood with at(pixels, noise) and no autoregression; "
                f"{type(vae.network).__name__} with {type(vae.likelihood).__name__} has none"
            )
        self.vae, self.sample_shape = vae, vae.sample_shape

    def latents(self, randomness: Randomness) -> Tree:
        return self.vae.latents(randomness)

    def draw(self, latents: Tree, noise: Tensor) -> Drawn:
        decoded = self.vae.decode(latents)
        log_prior = self.vae.log_prior(decoded)
        below = [log_normal(eps) for eps in tree.leaves(latents)[1:]]
        x = self._pixels(decoded.pixels, noise)
        return Drawn(
            x,
            decoded.pixels.mean,
            sum(below, log_prior[0]),
            sum(log_prior[1:], log_prior[0]),
            self.vae.likelihood.log_prob(x, decoded.pixels),
        )

    def _pixels(self, pixels: Pixels, noise: Tensor) -> Tensor:
        x: Tensor = self.vae.likelihood.at(pixels, noise)  # type: ignore[attr-defined]
        return x


def noisy_decoder(module: nn.Module) -> NoisyDecoder:
    """`module` as a `NoisyDecoder`: a VAE, or a module that is one by itself.

    Raises:
        RecipeError: it is none; names the missing parts.
    """
    if isinstance(module, VAE):
        return DrawnVAE(module)
    if not isinstance(module, NoisyDecoder):
        raise RecipeError(
            f"a VAEBM needs a VAE, or another decoder whose pixels are a function of noise, got a "
            f"{type(module).__name__}{lacking(module, NoisyDecoder)}"
        )
    return module


def log_normal(noise: Tensor) -> Tensor:
    """log N(noise; 0, I) of each row, (n, ...) -> (n,)."""
    return -0.5 * (noise.square() + LOG_2PI).flatten(1).sum(1)
