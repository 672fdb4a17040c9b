"""New images made by a VAE from given ones: variations, lines between two, cycles.

Norouzi et al. 2020, arXiv:2004.04795, Sec. 5.3.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.core import tree
from genkit.core.counts import count
from genkit.core.errors import GenkitError, kind_of
from genkit.core.evaluating import evaluating
from genkit.core.randomness import Noise, Randomness, Rows
from genkit.core.system import Data
from genkit.vae.latent_priors import ExemplarPrior
from genkit.vae.vae import VAE


def regenerated(vae: VAE, x: Tensor, randomness: Randomness | Data) -> Tensor:
    """One variation of each image: encode, draw a latent around its mean, decode. No graph.

    The latent is a sample of the prior's component that the image is, or would be, the exemplar of; with a prior
    without exemplars, of the image's posterior.

    Args:
        x: (B, C, H, W) in [-1, 1], grey levels as they are; it need not be an exemplar.
        randomness: of B rows.

    Returns:
        (B, C, H, W) in [-1, 1], the decoder's means.

    Raises:
        DataError: images of another shape or range.
    """
    return variation_of(vae, vae.check(x), randomness)


def check_vae(given: object, what: str) -> None:
    """Raises GenkitError for what is no VAE; `what` begins the sentence."""
    if not isinstance(given, VAE):
        raise GenkitError(f"{what} of a VAE, which encodes images; {kind_of(given)} does not")


def variation_of(vae: VAE, x: Tensor, randomness: Randomness | Data) -> Tensor:
    """As `regenerated`, of images that are sure to be in [-1, 1], on the device of the VAE."""
    with torch.no_grad(), evaluating(vae):
        noise = randomness.normal(vae.latent_dims[0]).to(vae.device)
        return vae(vae.beside_noise(_around(vae, x, noise), randomness))


def _around(vae: VAE, x: Tensor, noise: Tensor) -> Tensor:
    q, prior = vae.network.posterior(vae.likelihood.values(x)), vae.latent_prior
    return prior.around(q.mean).at(torch.arange(len(x)), noise) if isinstance(prior, ExemplarPrior) else q.at(noise)


def variations(vae: VAE, like: Tensor, n: int, rng: torch.Generator | None = None) -> Tensor:
    """n variations of one image (C, H, W) in [-1, 1], (n, C, H, W); the same rng gives the same.

    Raises:
        DataError: an image of another shape or range.
        GenkitError: n below 1.
    """
    check_vae(vae, "variations are")
    n = count("number of variations", n)
    image = vae.check(like[None] if isinstance(like, Tensor) else like)
    return regenerated(vae, image.expand(n, *vae.sample_shape), Rows(n, rng, vae.device))


def between(vae: VAE, a: Tensor, b: Tensor, n: int, rng: torch.Generator | None = None) -> Tensor:
    """A straight line between the means of two images (C, H, W), ends included: (n, C, H, W).

    The top latent gets no noise; that of the levels below is drawn once and is the same all along the way.

    Raises:
        DataError: images of another shape or range.
        GenkitError: n below 2.
    """
    check_vae(vae, "a way between images is")
    n = count("number of images on the way", n, 2)
    with torch.no_grad(), evaluating(vae):
        z = vae.beside_noise(vae.encode(torch.stack([a, b])), Noise(1, rng))
        at = torch.linspace(0, 1, n, device=vae.device)
        return vae(tree.map(lambda ends: torch.lerp(ends[:1], ends[-1:], at.view(-1, *[1] * (ends.dim() - 1))), z))


def cycle(vae: VAE, start: Tensor | int, turns: int, rng: torch.Generator | None = None) -> Tensor:
    """Variations of variations: each image is a variation of the one before.

    Args:
        start: images (B, C, H, W) in [-1, 1], or a number B of images of uniform noise.
        turns: at least 1.

    Returns:
        (turns + 1, B, C, H, W), `start` first.

    Raises:
        DataError: images of another shape or range.
        GenkitError: turns below 1.
    """
    check_vae(vae, "variations are")
    turns = count("number of turns", turns)
    start = start if isinstance(start, Tensor) else count("number of images of noise", start)
    rows = Rows(start if isinstance(start, int) else len(start), rng, vae.device)
    made = [rows.uniform(*vae.sample_shape) * 2 - 1 if isinstance(start, int) else start.to(vae.device)]
    for _ in range(turns):
        made.append(regenerated(vae, made[-1], rows))
    return torch.stack(made)
