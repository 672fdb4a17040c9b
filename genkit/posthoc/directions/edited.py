"""A generator that is moved along a direction."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from genkit.core import tree
from genkit.core.catalog import convert
from genkit.core.condition import Condition
from genkit.core.errors import GenkitError
from genkit.core.generator import LatentGenerator
from genkit.core.randomness import Randomness
from genkit.core.styled import MovedStyles
from genkit.core.tree import Tree
from genkit.posthoc.directions.deformators import Deformator, check_number
from genkit.posthoc.directions.spaces import space_of

Strength = Annotated[float, Field(ge=-1000, le=1000)]
Unit = Annotated[float, Field(gt=0)]


class FromItsLatents(LatentGenerator):
    """A generator whose latents and conditions of real samples are those of another one, `generator`."""

    generator: LatentGenerator

    @property
    def standard_normal(self) -> bool:
        return self.generator.standard_normal

    def condition_of(self, x: Tensor) -> Condition:
        return self.generator.condition_of(x)

    def latents(self, randomness: Randomness) -> Tree:
        return self.generator.latents(randomness)


class Edited(FromItsLatents):
    """`generator` with every latent moved by one direction; all else, its noise too, is the same. Strength 0 is itself.

    Args:
        generator: with latents, which are drawn as before.
        direction: what the shift is made by, such as `FixedDirections` of one row.
        strength: in units.
        number: of the direction, where `direction` has several.
        space: that it lives in, see `space_of`.
        unit: of strengths, mostly the standard deviation of the latent.

    Raises:
        GenkitError: a direction of another latent, a number that there is not, no such space, or a strength or unit
            out of range.
    """

    def __init__(
        self,
        generator: LatentGenerator,
        direction: Deformator,
        strength: Strength = 1.0,
        number: Annotated[int, Field(ge=0)] = 0,
        space: str = "z",
        unit: Unit = 1.0,
    ):
        super().__init__()
        self.generator, self.direction, self.number = generator, direction, number
        self.space = space_of(generator, space)
        self.strength, self.unit = convert(Strength, strength, where="strength"), convert(Unit, unit, where="unit")
        check_width(direction, self.space.dim, space)
        check_number(number, direction.directions)
        self.sample_shape, self.conditions, self.made = generator.sample_shape, generator.conditions, generator.made

    def of(self, generator: LatentGenerator) -> Edited:
        """The same direction, of another generator.

        Raises:
            GenkitError: its latent is another.
        """
        settings: Any = {"number": self.number, "space": self.space.name, "unit": self.unit}
        return Edited(generator, self.direction, self.strength, **settings).to(self.device)

    @property
    def network(self) -> Any:
        """The network of the generator, for spaces of its styles."""
        return getattr(self.generator, "network", None)

    def forward(self, z: Any, condition: Condition | None = None) -> Tensor:
        return self.space.images(z, condition or {}, self._shift(z))

    def moved_styles(self, z: Any, condition: Condition) -> MovedStyles:
        return self.space.moved_styles(z, condition, self._shift(z))

    def _shift(self, z: Any) -> Tensor:
        n = tree.leaves(z)[0].shape[0]
        strengths = torch.full((n,), self.strength, device=self.device)
        return self.unit * self.direction.along(self.number, strengths)


def check_width(deformator: Deformator, dim: int, space: str) -> None:
    """Raises GenkitError for directions of another latent."""
    if deformator.dim != dim:
        raise GenkitError(
            f"directions of {deformator.dim} numbers, and the latent {space} has {dim}: they are of another generator "
            "or space"
        )
