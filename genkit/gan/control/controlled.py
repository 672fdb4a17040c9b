"""A StyleGAN2 that can be asked for values of attributes. Shoshan et al. 2021, arXiv:2101.02477, Sec. 3.2."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genkit.core import tree
from genkit.core.columns.column import Column
from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.condition import Condition, ConditionSpace
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import ConditionError, RecipeError, shown, suggest
from genkit.core.evaluating import evaluating
from genkit.core.frozen import freeze, is_frozen
from genkit.core.generator import LatentGenerator
from genkit.core.precision import full
from genkit.core.randomness import Randomness, Rows, seeds_of_rows
from genkit.core.styled import MovedStyles, named_slices, noise_of
from genkit.core.tree import Tree
from genkit.gan.control.encoder import ControlEncoder
from genkit.gan.gan import GAN
from genkit.gan.stylegan2.truncated import Psi, psi_of

PICTURED = 8
"""Values a row of its picture."""


class Controlled(LatentGenerator):
    """A finished GAN and an encoder for each attribute, whose values are its conditions: E(y) takes the place of a
    slice of w, and what is not asked for stays as it was drawn.

    Args:
        generator: a GAN over a network with a split latent; it is frozen here.
        encoders: name of a slice -> its encoder.
        psi: truncation of the slices that are drawn, see `Truncated`; what is asked for stays.

    Raises:
        RecipeError: there is no such slice, or an encoder makes another width.
        GenkitError: psi names no slice.
    """

    def __init__(self, generator: GAN, encoders: Mapping[str, ControlEncoder], psi: Psi | dict[str, Psi] = 1.0):
        super().__init__()
        self.given_finished = is_frozen(generator)
        self.generator, self.psi = freeze(generator), psi
        self.sample_shape = generator.sample_shape
        slices = named_slices(generator.network)
        for name, encoder in encoders.items():
            check_slice(slices, name)
            width, dim = slices[name].stop - slices[name].start, encoder.config["dim"]
            if dim != width:
                raise RecipeError(f"encoders.{name}.dim: the slice has {width} numbers, got {dim}")
        psi_of(psi, generator.network)
        self.slices = {name: slices[name] for name in encoders}
        self.encoders = nn.ModuleList(encoders.values())
        self.conditions = ConditionSpace({name: e.column.left_free() for name, e in encoders.items()})

    def with_psi(self, psi: Psi | dict[str, Psi]) -> Controlled:
        """The same with another truncation."""
        encoders: Any = dict(zip(self.slices, self.encoders, strict=True))
        return Controlled(self.generator, encoders, psi).to(self.device)

    @property
    def standard_normal(self) -> bool:
        return self.generator.standard_normal

    @property
    def network(self) -> Any:
        return self.generator.network

    def latents(self, randomness: Randomness) -> Tree:
        return self.generator.latents(randomness)

    def forward(self, z: Tree, condition: Condition | None = None) -> Tensor:
        w = self.controlled_w(self.network.to_w(z)[:, 0], condition or {})
        images: Tensor = self.network.synthesise(w, noise_of(z))
        return full(images)

    def moved_styles(self, latents: Tree, condition: Condition) -> MovedStyles:
        """See `genkit.core.styled.MovesStyles`."""
        w = self.controlled_w(self.network.to_w(latents)[:, 0], condition)
        return MovedStyles(self.network.spread(w), {})

    def controlled_w(self, w: Tensor, condition: Condition) -> Tensor:
        """W (B, style_dim) with the slices that are asked for, and the others truncated."""
        network: Any = self.generator.network
        w = network.w_avg.lerp(w, psi_of(self.psi, network))
        for (name, at), encoder in zip(self.slices.items(), self.encoders, strict=True):
            if name in condition:
                w[:, at] = encoder.over(w[:, at], condition[name])  # type: ignore[operator]
        return w

    @torch.no_grad()
    def sweep(self, name: str, values: Tensor, n: int, rng: torch.Generator, **fixed: Any) -> Tensor:
        """n images, each at every one of `values` of an attribute, all else being the same: (n, values, C, H, W).

        Args:
            values: (V,), rows of the attribute's column.
            fixed: other attributes, as `sample` takes them.

        Raises:
            ConditionError: no such attribute, or a value that it does not take.
        """
        if name not in self.conditions:
            raise ConditionError(f"this generator takes no condition {shown(name)}{suggest(name, self.conditions)}")
        rows = Rows(n, rng, self.device)
        every = {"condition": self.conditions.resolve(fixed, n, rows), "z": self.latents(rows)}
        asked = self.conditions[name].check(name, values, len(values))
        with evaluating(self):
            return torch.stack([self._along(_repeated(every, i, len(values)), {name: asked}) for i in range(n)])

    def _along(self, same: Mapping[str, Any], asked: Condition) -> Tensor:
        condition = {name: rows.to(self.device) for name, rows in {**same["condition"], **asked}.items()}
        return self(same["z"], condition).clamp(-1, 1)  # type: ignore[no-any-return]

    @torch.no_grad()
    def drawn(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """w (n, style_dim) of n samples of which nothing is asked, and their images."""
        return self._of_w(n, rng, lambda w: w)

    @torch.no_grad()
    def with_slice(self, name: str, w: Tensor, rng: torch.Generator) -> Tensor:
        """Samples of which the slice `name` is that of w (n, style_dim), all else being drawn."""
        at = self.slices[name]

        def copied(drawn: Tensor) -> Tensor:
            drawn[:, at] = w[:, at]
            return drawn

        return self._of_w(len(w), rng, copied)[1]

    def _of_w(self, n: int, rng: torch.Generator, change: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        network: Any = self.generator.network
        with evaluating(self):
            z = self.latents(Rows(n, rng, self.device))
            w = change(self.controlled_w(network.to_w(z)[:, 0], {}))
            return w, full(network.synthesise(w, noise_of(z))).clamp(-1, 1)

    shows = "A row an attribute, from its lowest value to its highest, and a row of samples that nothing controls"

    def pictured(self, rng: torch.Generator, crew: Crew = ALONE) -> tuple[Tensor, int]:
        """A row an attribute, and below them a row that is not controlled; each row is of one latent."""
        strips = dict[int, Tensor]()
        for k, (name, column) in enumerate(self.conditions.items()):
            own = torch.Generator().manual_seed(seeds_of_rows(1, rng)[0])
            if crew.has(k):
                strips[k] = self.sweep(name, spread(column, PICTURED), 1, own)[0].cpu()
        return torch.cat([*crew.gathered(strips), self.shared_sample(PICTURED, crew, rng=rng)]), PICTURED


def _repeated(rows: Any, i: int, n: int) -> Any:
    """Row i of a tree, n times."""
    return tree.map(lambda part: part[i : i + 1].expand(n, *part.shape[1:]), rows)


def spread(column: Column, n: int) -> Tensor:
    """n values of a column from the least to the largest; on a circle once around it. Of more classes the first n, of
    fewer each several times."""
    if isinstance(column, Labels):
        return torch.arange(n) * min(column.classes, n) // n
    assert isinstance(column, Values)
    return torch.linspace(column.low, column.high, n + column.cyclic)[:n]


def check_slice(slices: Mapping[str, slice], name: str) -> None:
    """Raises RecipeError where the network has no slice of a name."""
    if name not in slices:
        raise RecipeError(f"no slice {shown(name)} of the latent{suggest(name, slices)}")
