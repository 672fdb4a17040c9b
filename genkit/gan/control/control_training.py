"""Controls for a finished GAN: an encoder for each attribute. Shoshan et al. 2021, arXiv:2101.02477, Sec. 3.2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core import tree
from genkit.core.condition import ConditionSpace
from genkit.core.errors import RecipeError
from genkit.core.frozen import check_finished, freeze, is_frozen
from genkit.core.precision import full
from genkit.core.pretrained import Pretrained
from genkit.core.randomness import Noise, stable_seed
from genkit.core.styled import named_slices, noise_of
from genkit.core.system import Data, System, Terms, Turns, Update, descend
from genkit.gan.control.controlled import Controlled, check_slice
from genkit.gan.control.encoder import ControlEncoder
from genkit.gan.control.measures import Readable, check_measure, values_read
from genkit.gan.gan import GAN
from genkit.layers.arguments import Depth, Width

BATCH = 128
"""Images at a time, when pairs are drawn."""


class ControlTraining(System):
    """For each attribute an encoder E learns w from y: |E(y) - w|_1 of slices, over pairs of w and what its image
    shows.

    The pairs are drawn once, before the first iteration, as a function of `seed`. Data are asked for nothing but the
    shape of their images: nobody says what is on real ones.

    Args:
        generator: a finished GAN over a network with a split latent.
        controls: name of a slice -> what reads its attribute off an image.
        pairs: how many; 100,000 in the authors' script.
        width, depth, rate: of each encoder, see `ControlEncoder`.
        seed: of the pairs.

    Raises:
        RecipeError: the GAN is not finished, or has no slice of a name, or a measure does not fit.
    """

    learners = {"encoders": ("controlled.encoders",)}  # noqa: RUF012 - a ClassVar of the base
    controlled: Controlled
    w: Tensor

    def __init__(
        self,
        generator: GAN,
        controls: Mapping[str, Readable],
        pairs: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000,
        width: Width = 512,
        depth: Depth = 4,
        rate: Annotated[float, Field(gt=0, le=1)] = 1.0,
        seed: Annotated[int, Field(ge=0, lt=2**63)] = 0,
    ):
        super().__init__()
        check_finished(is_frozen(generator), "generator: controls are learned of a finished GAN")
        if not controls:
            raise RecipeError("controls: needs one at least, as SLICE: MEASURE")
        slices = named_slices(generator.network)
        for name, measure in controls.items():
            check_slice(slices, name)
            check_measure(measure, generator.sample_shape, name)
        encoders = {
            name: ControlEncoder(measure.column, slices[name].stop - slices[name].start, width, depth, rate)
            for name, measure in controls.items()
        }
        self.controlled = Controlled(generator, encoders)
        self.measures = nn.ModuleList(freeze(m) for m in controls.values() if isinstance(m, nn.Module))
        self.controls, self.pairs, self.seed = dict(controls), pairs, seed
        self.register_buffer("w", torch.zeros(0, generator.network.latent_dim), persistent=False)
        self.shown: dict[str, Tensor] = {}

    @property
    def generator(self) -> Controlled:  # type: ignore[override]
        return self.controlled

    @property
    def products(self) -> Mapping[str, Pretrained]:
        return {"controlled": self.controlled}

    def check_data(self, sample_shape: tuple[int, ...], conditions: ConditionSpace) -> None:
        super().check_data(sample_shape, self.controlled.conditions)

    def iteration(self, data: Data, step: int) -> Turns:
        if not len(self.w):
            self.w, self.shown = self.drawn_pairs()
        index = data.integers(self.pairs)
        shown = {name: rows[index] for name, rows in self.shown.items()}
        yield Update("encoders", self.loss, {"w": self.w[index], "shown": shown})

    def loss(self, w: Tensor, shown: Mapping[str, Tensor]) -> Terms:
        encoders = zip(self.controlled.slices.items(), self.controlled.encoders, strict=True)
        return descend(**{name: (encoder(shown[name]) - w[:, at]).abs().mean() for (name, at), encoder in encoders})

    @torch.no_grad()
    def drawn_pairs(self) -> tuple[Tensor, dict[str, Tensor]]:
        """w (pairs, D), and what the measures read off their images, by name."""
        rng = torch.Generator().manual_seed(stable_seed(self.seed, "pairs"))
        parts = [self._drawn(min(BATCH, self.pairs - k), rng) for k in range(0, self.pairs, BATCH)]
        shown = {name: torch.cat([read[name] for _, read in parts]) for name in self.controls}
        return torch.cat([w for w, _ in parts]), shown

    def _drawn(self, n: int, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        network: Any = self.controlled.generator.network
        latents = tree.map(lambda part: part.to(self.w.device), self.controlled.latents(Noise(n, rng)))
        w = network.to_w(latents)
        images = full(network.synthesise(w, noise_of(latents))).clamp(-1, 1)
        read = {name: values_read(measure, images, name) for name, measure in self.controls.items()}
        return w[:, 0], read
