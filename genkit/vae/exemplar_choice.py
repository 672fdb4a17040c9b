"""Choice of exemplars for the whole training set in one iteration. Norouzi et al. 2020, arXiv:2004.04795, Sec. 3."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from genkit.core.errors import RecipeError
from genkit.core.system import Data, Items
from genkit.vae.bound import LogPrior
from genkit.vae.latent_priors import ExemplarPrior
from genkit.vae.log_mixture import LeaveOut
from genkit.vae.vae import VAE

Subset = Annotated[int, Field(ge=2)]
CHUNK = 32768
"""Exemplars that are encoded at a time, the graph of one chunk in memory; beyond it activations are made again."""


@dataclass(frozen=True)
class Chosen:
    """Exemplars of one iteration, the same on every process.

    Attributes:
        items: (M,) int64 on the CPU, their numbers in the training set.
        values: (M, C, H, W), input of the encoder; None where their means are taken unchanged.
        means: (M, D) without a graph; None where they are to be encoded.
    """

    items: Tensor
    values: Tensor | None = None
    means: Tensor | None = None


class ExemplarChoice(nn.Module, ABC):
    """A rule for choosing exemplars; its state between iterations is in buffers."""

    def setup(self, vae: VAE, items: Items) -> None:
        """Called once with the training set.

        Raises:
            RecipeError: more exemplars are asked for than exist.
        """

    @abstractmethod
    def choose(self, vae: VAE, data: Data, index: Tensor, observed: Tensor) -> tuple[Chosen, Tensor | None]:
        """The exemplars for a batch, and the divisor of the mixture for each row (None: the number of its components).

        Args:
            index: (B,) on the CPU, numbers of the rows in the training set.
            observed: (B, C, H, W), input of the encoder.
        """


class RandomExemplars(ExemplarChoice):
    """A new random subset in every iteration, all of it encoded with a graph: the objective of Eq. 7.

    Args:
        size: number of exemplars.
        replacement: draw with replacement, as the authors' code does; an item may then come twice, and all its copies
            are left out of its own prior.
    """

    def __init__(self, size: Subset = 1000, replacement: bool = True):
        super().__init__()
        self.size, self.replacement, self.items = size, replacement, 0

    def setup(self, vae: VAE, items: Items) -> None:
        self.items = len(items)
        check_size(self.size, self.items, self.replacement)

    def choose(self, vae: VAE, data: Data, index: Tensor, observed: Tensor) -> tuple[Chosen, Tensor | None]:
        items = draw_items(data, self.items, self.size, self.replacement)
        return Chosen(items, values=vae.likelihood.values(data.fetch(items).x)), None


def check_size(size: int, items: int, replacement: bool) -> None:
    """Raises RecipeError when `size` distinct exemplars cannot be drawn from `items`."""
    if not replacement and size > items:
        raise RecipeError(
            f"exemplars.size: {size} cannot be drawn without replacement from {items} items; "
            f"use at most {items}, or replacement: true"
        )


def draw_items(data: Data, items: int, size: int, replacement: bool) -> Tensor:
    """(size,) random items on the CPU, the same on every process."""
    if replacement:
        return data.common(lambda rng: torch.randint(items, (size,), generator=rng))
    return data.common(lambda rng: torch.randperm(items, generator=rng)[:size])


def log_prior_of(vae: VAE, chosen: Chosen, index: Tensor, count: Tensor | None) -> LogPrior:
    """The leave-one-out prior of Eq. 6 around the chosen exemplars, with a graph through their means."""
    prior = vae.latent_prior
    assert isinstance(prior, ExemplarPrior)
    means = chosen.means if chosen.values is None else encode_means(vae, chosen.values)
    assert means is not None
    mixture = prior.around(means)
    return lambda z: mixture.log_density(z, LeaveOut(index, chosen.items), count)


def encode_means(vae: VAE, values: Tensor) -> Tensor:
    """(M, C, H, W) -> (M, D) with a graph; memory of activations is that of one chunk."""
    if len(values) <= CHUNK:
        return vae.network.posterior(values).mean
    parts = [checkpoint(vae.network.posterior, part, use_reentrant=False).mean for part in values.split(CHUNK)]
    return torch.cat(parts)
