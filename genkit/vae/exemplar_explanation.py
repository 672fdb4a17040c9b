"""The exemplars behind an image: those from which the prior would generate it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genkit.core.evaluating import evaluating
from genkit.core.nearest import nearest
from genkit.core.randomness import Rows
from genkit.vae.latent_priors import Mixture
from genkit.vae.vae import VAE


@dataclass(frozen=True)
class ExemplarExplanation:
    """The k exemplars nearest to an image's latent, nearest first.

    Attributes:
        image: (C, H, W) in [-1, 1].
        rows: data set of each exemplar, and its number there.
        shares: (k,) of the prior's density at the latent; all exemplars together have 1.
        distances: (k,) between the means of image and exemplar.
        pictures: (k, C, H, W) in [-1, 1], decoded from the exemplars' means.
    """

    image: Tensor
    rows: list[tuple[str, int]]
    shares: Tensor
    distances: Tensor
    pictures: Tensor

    def to_json(self) -> dict[str, Any]:
        columns = zip(self.rows, self.shares.tolist(), self.distances.tolist(), strict=True)
        return {"exemplars": [{"data": d, "row": i, "share": s, "distance": x} for (d, i), s, x in columns]}


def explained(vae: VAE, image: Tensor, k: int, seed: int = 0) -> ExemplarExplanation:
    """The k exemplars behind an image (C, H, W) in [-1, 1].

    A share is the responsibility N(z; m_n, s2) / sum_j N(z; m_j, s2) of exemplar n for the image's mean z under the
    prior, Norouzi et al. 2020, Eq. 5.

    Args:
        seed: of the decoder's noise below the top latent; the same for all pictures.

    Raises:
        GenkitError: no exemplar prior, or one without exemplars.
        DataError: an image of another shape or range.
    """
    exemplars = vae.exemplars
    with torch.no_grad(), evaluating(vae):
        prior, z = vae.latent_prior.mixture(vae.network), vae.encode(image[None])
        where, squared = nearest(z, prior.means, k)
        near = prior.means[where[0]]
        alone = torch.cat([Mixture(mean[None], prior.log_variance).log_density(z) for mean in near])
        shares = (alone - prior.log_density(z)).exp() / len(exemplars)
        same = [Rows(1, torch.Generator().manual_seed(seed), vae.device) for _ in range(k)]
        pictures = torch.cat([vae(vae.beside_noise(mean[None], rows)) for mean, rows in zip(near, same, strict=True)])
    found = [_row(exemplars.origin, i) for i in where[0].tolist()]
    return ExemplarExplanation(image, found, shares.cpu(), squared[0].sqrt().cpu(), pictures.cpu())


def _row(origin: list[dict[str, Any]], index: int) -> tuple[str, int]:
    """The data set that exemplar `index` came from, and its number among those of this set."""
    for part in origin:
        if index < part["items"]:
            return str(part["data"]), index
        index -= part["items"]
    return "", index
