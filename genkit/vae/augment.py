"""Augmentation of a classifier's training images by newly made ones of the same classes."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core.frozen import freeze
from genkit.core.pretrained import Configured
from genkit.core.randomness import Randomness, Rows
from genkit.core.system import Data
from genkit.images.pixels import check_range, check_shape, from_uint8, rounded
from genkit.vae.latent_priors import ExemplarPrior
from genkit.vae.vae import VAE
from genkit.vae.variations import check_vae, variation_of

AugmentShare = Annotated[float, Field(gt=0, lt=1)]


class Augment(Configured, nn.Module, ABC):
    """A source of new images, each with the label of the image it was made from.

    Attributes:
        share: weight of their loss; the given images have the rest.
    """

    share: float

    @abstractmethod
    def made(self, x: Tensor, randomness: Randomness | Data) -> Tensor:
        """One new image for each of x (B, C, H, W) in [-1, 1], of the same shape and range, without a graph."""

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """One new image for each of x (B, C, H, W) in [-1, 1]: a transform of batches, for any training loop.

        The same rng (a CPU generator; None is torch's global one) makes the same images.

        Raises:
            DataError: images of another range.
        """
        return self.made(check_range(x), Rows(len(x), rng, x.device))


class ExemplarAugment(Augment):
    """Variations by an exemplar VAE, which is not trained any further. Norouzi et al. 2020, arXiv:2004.04795, Sec. 5.4.

    An image is encoded, grey levels as they are; a latent from around its mean is decoded and rounded to 8 bits. With
    the weights of another VAE the latent is a sample of the image's posterior, see `regenerated`.

    Args:
        vae: a finished one, `{weights: NAME_OR_PATH}` in a recipe; it is copied, without its exemplars.
        share: weight of the loss on variations; the paper's is 0.6.
    """

    def __init__(self, vae: VAE, share: AugmentShare = 0.6):
        super().__init__()
        check_vae(vae, "variations by exemplar_augment are")
        self.vae, self.share = freeze(copy.deepcopy(vae)), share
        if isinstance(prior := self.vae.latent_prior, ExemplarPrior):
            prior.put(prior.means[:0], [])  # a latent is around the image at hand; checkpoints need not carry the rest

    def made(self, x: Tensor, randomness: Randomness | Data) -> Tensor:
        return from_uint8(rounded(variation_of(self.vae, check_shape(x, self.vae.sample_shape), randomness))).to(
            x.device
        )
