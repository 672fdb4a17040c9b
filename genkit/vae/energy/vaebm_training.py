"""Training of the energy of a VAEBM, its VAE finished: Xiao et al. 2021, arXiv:2010.00654, Sec. 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genkit.core.frozen import check_finished
from genkit.core.generator import Items
from genkit.core.processes import together, whole_batch
from genkit.core.system import Data, System, Terms, Turns, Update, descend, observe
from genkit.images.pixels import to_unit
from genkit.vae.energy.chains import PersistentChains
from genkit.vae.energy.langevin import Langevin, fresh
from genkit.vae.energy.runaway import RunawayGuard
from genkit.vae.energy.spectral_penalty import SpectralPenalty
from genkit.vae.energy.vaebm import VAEBM, Shown

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
FIRST, PIXELS = 512, 2**21
"""Images that norms and biases are set from, and their pixels at most: 512 of 64 x 64, 32 of 256 x 256."""


class VAEBMTraining(System):
    """E is lowered at images and raised at the ends of chains that start at samples of the VAE. Algorithm 1.

    Args:
        generator: a VAEBM; its energy is learned.
        langevin: the chains of training.
        negatives: at a chain's end the energy is raised at the "sample", or at the decoder's "mean".
        spectral: weight of the sum of the largest singular values of the convolutions. Eq. 16.
        magnitude: weight of the mean square of the energies of both, which holds their common level down.
        chains: None starts every chain anew.
        guard: tells a state in which the energy runs away; None never does.

    Raises:
        RecipeError: the decoder is not given as finished weights.
    """

    learners = {"energy": ("generator.energy",)}  # noqa: RUF012 - a ClassVar of the base
    generator: VAEBM

    def __init__(
        self,
        generator: VAEBM,
        langevin: Langevin,
        negatives: Shown = "mean",
        spectral: Weight = 0.2,
        magnitude: Weight = 0.0,
        chains: PersistentChains | None = None,
        guard: RunawayGuard | None = None,
    ):
        super().__init__()
        check_finished(generator.given_finished, "the decoder of a VAEBM is finished before its energy learns")
        self.generator, self.langevin, self.negatives = generator, langevin, negatives
        self.spectral, self.magnitude, self.chains, self.guard = spectral, magnitude, chains, guard
        self.penalty = SpectralPenalty(generator.energy.weights())

    @property
    def local_state(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("chains.latents", "chains.pushed") if self.chains else ()

    def setup(self, items: Items) -> None:
        _, height, width = self.generator.sample_shape
        first = min(FIRST, max(1, PIXELS // (height * width)), len(items))
        self.generator.energy.start(to_unit(items.rows(torch.arange(first))))
        if self.chains:
            self.chains.setup(self.generator.noisy)

    def iteration(self, data: Data, step: int) -> Turns:
        energy, decoder = self.generator.energy, self.generator.noisy
        real = to_unit(next(data).x)
        start = self.chains.start(decoder, data, step) if self.chains else fresh(decoder, data)
        found = together(lambda: self.langevin.refine(energy, decoder, start, data), real.device)
        if self.spectral:
            self.penalty.iterate(energy.weights())
        fake = found.mean if self.negatives == "mean" else found.x
        report = yield Update("energy", self.loss, {"real": real, "fake": fake, "watched": found.watched()})
        if self.chains:
            self.chains.keep(found.latents)
        if self.guard:
            assert report
            self.guard.look(whole_batch(report["contrast"].view(1)).mean())

    def loss(self, real: Tensor, fake: Tensor, watched: Mapping[str, Tensor]) -> Terms:
        """E(real) - E(fake), means over the batch, and the regularisation of the energy; Eq. 7 and 16."""
        e = self.generator.energy
        of_real, of_fake = e(torch.cat([real, fake])).chunk(2)
        terms = descend(contrast=of_real.mean() - of_fake.mean())
        if self.spectral:
            terms |= descend(spectral=self.spectral * self.penalty(e.weights()))
        if self.magnitude:
            terms |= descend(magnitude=self.magnitude * (of_real.square() + of_fake.square()).mean())
        return terms | observe(energy=of_real, **watched)
