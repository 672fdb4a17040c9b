"""Directions that are easy to tell apart. Voynov & Babenko 2020, arXiv:2002.03754, Algorithm of Sec. 3.2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from genkit.core.condition import Condition, ConditionSpace
from genkit.core.errors import RecipeError
from genkit.core.frozen import check_finished, is_frozen
from genkit.core.generator import Generator, Items, LatentGenerator
from genkit.core.pretrained import Pretrained
from genkit.core.system import Data, System, Terms, Turns, Update
from genkit.core.tree import Tree
from genkit.posthoc.directions.deformators import Deformator, one_hot
from genkit.posthoc.directions.directions import Directions
from genkit.posthoc.directions.edited import Unit
from genkit.posthoc.directions.reconstructors import Reconstructor, reconstruction
from genkit.posthoc.directions.shifts import Shifts


class DirectionsTraining(System):
    """min over A and R of E CE(k, k^) + weight |e - e^|, (k^, e^) = R(G(z), G(z + A(e 1_k))), Eq. 2.

    A and R are on one side, so they are one learner, stepped at once by one loss, as in the authors' code with its two
    Adams of one rate. Data are not looked at: any will do.

    Args:
        generator: a finished one, as {weights: NAME} or {stage: NAME}; it does not move.
        deformator: A; one without parameters is a baseline, of which R alone learns.
        reconstructor: R.
        space: that directions live in, see `space_of`.
        shifts: of the strengths.
        weight: of the strength's term.
        unit: of strengths in the latent; None measures its standard deviation, 1 is what N(0, I) says.
        seed: of the latents that are measured.

    Raises:
        RecipeError: the generator is not finished, or the parts do not fit each other.
    """

    learners = {"directions": ("directions.deformator", "reconstructor")}  # noqa: RUF012 - a ClassVar of the base

    def __init__(
        self,
        generator: LatentGenerator,
        deformator: Deformator,
        reconstructor: Reconstructor,
        space: str = "z",
        shifts: Shifts | None = None,
        weight: Annotated[float, Field(ge=0)] = 0.25,
        unit: Unit | None = None,
        seed: Annotated[int, Field(ge=0, lt=2**63)] = 0,
    ):
        super().__init__()
        check_finished(is_frozen(generator), "generator: directions are learned of a finished generator")
        check_pair(reconstructor, generator, deformator)
        self.directions = Directions(generator, deformator, space)
        self.reconstructor, self.shifts, self.weight = reconstructor, shifts or Shifts(), weight
        self.unit, self.seed = unit, seed

    @property
    def generator(self) -> LatentGenerator:  # type: ignore[override]
        return self.directions.generator

    @property
    def products(self) -> Mapping[str, Pretrained]:
        return {"directions": self.directions, "reconstructor": self.reconstructor}

    def check_data(self, sample_shape: tuple[int, ...], conditions: ConditionSpace) -> None:
        """Data are not looked at."""

    def setup(self, items: Items) -> None:
        self.directions.measure(self.seed)
        if self.unit is not None:
            self.directions.unit.fill_(self.unit)

    def exercise(self, product: Any, data: Data) -> None:
        """Strengths of a batch, for a deformator with batch norms."""
        product.shifts(self.strengths(data)["strengths"])

    def strengths(self, data: Data) -> dict[str, Tensor]:
        """Directions and strengths of a batch."""
        target, eps = self.shifts.draw(data, len(self.directions))
        return {"target": target, "eps": eps, "strengths": one_hot(target, eps, len(self.directions))}

    def iteration(self, data: Data, step: int) -> Turns:
        latents = self.generator.latents(data)
        condition = self.generator.conditions.resolve(None, 1, data)  # none is given: all are drawn
        yield Update("directions", self.loss, {"latents": latents, "condition": condition, **self.strengths(data)})

    def loss(self, latents: Tree, condition: Condition, target: Tensor, eps: Tensor, strengths: Tensor) -> Terms:
        space, shift = self.directions.space, self.directions.shifts(strengths)
        with torch.no_grad():  # nothing that learns is behind it
            x = space.images(latents, condition, torch.zeros_like(shift))
        logits, guess = self.reconstructor(x, space.images(latents, condition, shift))
        return reconstruction(logits.float(), guess.float(), target, eps, self.weight)


def check_pair(reconstructor: Reconstructor, generator: Generator, deformator: Deformator) -> None:
    """Raises RecipeError where the reconstructor takes other images, or tells another number of directions."""
    taken, made = reconstructor.sample_shape, tuple(generator.sample_shape)
    if taken != made:
        raise RecipeError(
            f"reconstructor: it takes images {list(taken)}, and the generator makes {list(made)}; set size and channels"
        )
    if reconstructor.directions != deformator.directions:
        raise RecipeError(
            f"reconstructor.directions: {reconstructor.directions}, but the deformator has {deformator.directions}; "
            "make them equal"
        )
