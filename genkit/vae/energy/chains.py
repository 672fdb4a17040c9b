"""Persistent chains: latents that earlier chains came to, to start from again (Tieleman 2008; Du & Mordatch 2019)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genkit.core import tree
from genkit.core.errors import RecipeError
from genkit.core.known import Tally
from genkit.core.pretrained import Configured
from genkit.core.randomness import Noise, Randomness
from genkit.core.usable_memory import usable_memory
from genkit.vae.energy.decoder import NoisyDecoder
from genkit.vae.energy.langevin import Coordinates, fresh

Probability = Annotated[float, Field(ge=0, le=1)]


class PersistentChains(Configured, Tally):
    """A store of latents; the oldest are overwritten. Pixel noise is not kept: every chain draws its own.

    Args:
        share: of the chains that go on from the store.
        size: latents that each process keeps.
        warmup: iterations over which the share rises from 0 to it in a straight line.

    Attributes:
        latents: (size, D), all leaves of a latent in one row; a process has its own.
        pushed: number of latents ever stored, scalar.
    """

    latents: Tensor
    pushed: Tensor

    def __init__(
        self,
        share: Probability = 0.6,
        size: Annotated[int, Field(ge=1, le=2**24)] = 10_000,
        warmup: Annotated[int, Field(ge=0)] = 0,
    ):
        super().__init__()
        self.share, self.size, self.warmup = share, size, warmup
        self.register_buffer("latents", torch.zeros(size, 0))
        self.register_buffer("pushed", torch.tensor(0))

    def setup(self, decoder: NoisyDecoder) -> None:
        """Sizes the store for the latents of `decoder`; no random state is left changed.

        Raises:
            RecipeError: it would take more memory than there is.
        """
        width = tree.packed(decoder.latents(Noise(1, torch.Generator().manual_seed(0)))).shape[1]
        needed, there = 4 * self.size * width, usable_memory()
        if needed > there and not self.latents.is_meta:
            raise RecipeError(
                f"chains.size: {self.size:,} chains of {width:,} numbers take {needed / 2**30:,.1f} GiB in each "
                f"process, and {there / 2**30:,.1f} GiB is there; {there // (8 * width):,} take half of that"
            )
        self.latents = self.latents.new_zeros(self.size, width)

    def start(self, decoder: NoisyDecoder, randomness: Randomness, step: int) -> Coordinates:
        """Starting points of the chains of iteration `step`: fresh, or from the store."""
        latents, noise = fresh(decoder, randomness)
        kept = min(self.counted(self.pushed), self.size)
        chance, place = randomness.uniform(), randomness.uniform(dtype=torch.float64)
        share = self.share * min(1.0, step / max(1, self.warmup))
        again = (chance < share).to(noise.device)
        if not kept:
            return latents, noise
        old = self.latents[(place * kept).long().to(self.latents.device)]
        return tree.where(again, tree.unpacked(old, latents), latents), noise

    def keep(self, latents: tree.Tree) -> None:
        """Stores n latents in place of the oldest."""
        rows = tree.packed(latents)[-self.size :]
        before = self.counted(self.pushed)
        places = (torch.arange(len(rows), device=rows.device) + before) % self.size
        self.latents[places] = rows.to(self.latents)
        self.count_on(self.pushed, before + len(rows))
