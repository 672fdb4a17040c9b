"""VAEBM: a variational autoencoder times an energy (Xiao et al. 2021, arXiv:2010.00654)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core import tree
from genkit.core.catalog import convert
from genkit.core.errors import GenkitError, RecipeError, kind_of
from genkit.core.evaluating import evaluating
from genkit.core.frozen import freeze, is_frozen
from genkit.core.generator import Density, Generator
from genkit.core.precision import wide
from genkit.core.randomness import Randomness, Rows
from genkit.images.pixels import check_images, from_uint8, from_unit, to_uint8, to_unit
from genkit.vae.energy.decoder import NoisyDecoder, noisy_decoder
from genkit.vae.energy.energy_network import EnergyNetwork
from genkit.vae.energy.langevin import Coordinates, Langevin, check_finite, fresh

Shown = Literal["mean", "sample"]
Candidates = Annotated[int, Field(ge=1, le=10_000)]


class VAEBM(Generator):
    """h(x, z) ~ p(z) p(x | z) exp(-E(x)), sampled by short chains that start at samples of the decoder. Eq. 3 and 8.

    Images are cut to the range and rounded to 8 bits, never stretched.

    Args:
        decoder: a finished VAE whose pixels are a function of noise, or any `NoisyDecoder`; it is frozen here.
        energy: of values in [0, 1].
        langevin: refines the samples; None leaves those of the decoder as they are.
        shown: of the end of a chain: the decoder's "mean", as in the paper's pictures, or the "sample" with its noise.
        candidates: samples of the decoder that each chain may start at; one is drawn with a probability proportional
            to exp(-E), which costs no gradient (sampling importance resampling).

    Raises:
        RecipeError: decoder and energy are of other shapes, the decoder is none, or candidates are out of range.
    """

    def __init__(
        self,
        decoder: nn.Module,
        energy: EnergyNetwork,
        langevin: Langevin | None = None,
        shown: Shown = "mean",
        candidates: Candidates = 1,
    ):
        super().__init__()
        self.given_finished = is_frozen(decoder)
        self.decoder, self.energy, self.shown = decoder, energy, shown
        self.sample_shape = tuple(self.noisy.sample_shape)
        if self.sample_shape != tuple(energy.sample_shape):
            raise RecipeError(
                f"energy: it is of {list(energy.sample_shape)}, and the decoder makes {list(self.sample_shape)}; "
                "set its size and channels to those of the decoder"
            )
        freeze(decoder)
        self.langevin, self.candidates = langevin, candidates

    @property
    def noisy(self) -> NoisyDecoder:
        """The decoder by its contract; no module of its own, since that would be saved twice."""
        return noisy_decoder(self.decoder)

    @property
    def langevin(self) -> Langevin | None:
        return self._langevin

    @langevin.setter
    def langevin(self, langevin: Langevin | None) -> None:
        self._langevin = langevin
        self.config["langevin"] = langevin and langevin.config

    @property
    def candidates(self) -> int:
        return self._candidates

    @candidates.setter
    def candidates(self, candidates: int) -> None:
        self._candidates = self.config["candidates"] = convert(Candidates, candidates, where="candidates")

    def _sample(self, condition: Mapping[str, Tensor], rows: Rows) -> Tensor:
        latents, noise = self._start(rows)
        if self.langevin:
            found = self.langevin.refine(self.energy, self.noisy, (latents, noise), rows)
            return rounded(found.mean if self.shown == "mean" else found.x)
        return rounded(self._drawn((latents, noise)))

    def _start(self, randomness: Randomness) -> Coordinates:
        """The start of each chain: one of the candidates, drawn by its energy."""
        chosen = fresh(self.noisy, randomness)
        if self.candidates == 1:
            return chosen
        best = self._keys(chosen, randomness)
        for _ in range(1, self.candidates):
            other = fresh(self.noisy, randomness)
            key = self._keys(other, randomness)
            better = key > best
            best = torch.where(better, key, best)
            chosen = tree.where(better, other, chosen)
        return chosen

    def _keys(self, at: Coordinates, randomness: Randomness) -> Tensor:
        """-E + Gumbel noise, (n,): the largest of several is drawn in proportion to exp(-E).

        Raises:
            Runaway: an energy that is not finite, which nothing can be chosen by.
        """
        energy = check_finite(self.energy(self._drawn(at)))
        energy, chance = wide(energy), randomness.uniform(dtype=torch.float64)
        return -energy - (-chance.to(energy.device).clamp(min=1e-300).log()).log()

    def _drawn(self, at: Coordinates) -> Tensor:
        drawn = self.noisy.draw(*at)
        return drawn.mean if self.shown == "mean" else drawn.x

    # What it says of images

    def energy_of(self, x: Tensor) -> Tensor:
        """E(x), (B,), of images (B, C, H, W) in [-1, 1]: low where images are likely; known but for a constant.

        Raises:
            DataError: another shape or range.
            Runaway: an energy that is not finite.
        """
        with torch.no_grad(), evaluating(self):
            return check_finite(self.energy(to_unit(check_images(x, self.sample_shape).to(self.device))))

    def image_scores(self, x: Tensor, *, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """The energy, and with a decoder that says a likelihood its bound and both together, in nats; the outlier score
        is the energy less the bound. As `genkit.core.scores_images.ScoresImages`.

        Raises:
            DataError: as `energy_of`.
        """
        energy = wide(self.energy_of(x))
        if not isinstance(self.decoder, Density):
            return {"energy": energy, "outlier_score": energy}
        bound = self.decoder.log_likelihood(x, rng=rng).nats.to(energy)
        joint = bound - energy
        return {"energy": energy, "decoder_bound": bound, "unnormalised_log_prob": joint, "outlier_score": -joint}

    def unnormalised_log_prob(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """A lower bound on log p(x) but for the same constant for every image: the VAE's less E(x). (B,) float64, nats.

        Raises:
            DataError: as `energy_of`.
            GenkitError: a decoder that says no likelihood.
        """
        scores = self.image_scores(x, rng=rng)
        if "unnormalised_log_prob" not in scores:
            raise GenkitError(f"{kind_of(self.decoder)} says no likelihood, and the energy alone is none")
        return scores["unnormalised_log_prob"]


def rounded(values: Tensor) -> Tensor:
    """Values, cut to [0, 1] and rounded to 8 bits, as images in [-1, 1]."""
    return from_uint8(to_uint8(from_unit(values)))
