"""The term that keeps a generator from leaving classes out, by a network that tells them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core.columns.labels import Labels
from genkit.core.errors import RecipeError, kind_of
from genkit.core.frozen import freeze
from genkit.core.processes import whole_batch_with_graph
from genkit.gan.control.measures import Readable, check_measure, values_read
from genkit.gan.slots import Pair, StepInterval, Term, Turn

Share = Annotated[float, Field(gt=0, le=1)]
LEAST = 1e-12
"""Added to all shares: the logarithm of one that no image is of is finite, and its gradient too."""


class ClassBalance(Term):
    """weight * KL(shares || q), q the mean of p(class | x) over the fakes of a batch.

    Not of Shoshan et al. 2021, whose attributes are continuous but for identities: on few classes a generator leaves
    some out, which nobody can then ask for. The mean of predicted classes is held up as in Krause, Perona & Gomes 2010
    (regularised information maximisation), whose term is the entropy of q: the same where all shares are equal, but KL
    this way round grows without bound as a class is lost. It is logged as balance_<attribute>.

    Args:
        attribute: its name in the log.
        measure: reads a class, such as `predicted_attribute`; it is frozen here.
        shares: of the classes in the data, in their order; None are equal ones.
        weight: of the term.
        every: see `Term`.

    Raises:
        RecipeError: a measure that reads no class, or not one share a class with the sum 1.
    """

    of = "generator"
    coupled = True
    shares: Tensor

    def __init__(
        self,
        attribute: str,
        measure: Readable,
        shares: Sequence[Share] | None = None,
        weight: Annotated[float, Field(ge=0)] = 1.0,
        every: StepInterval = 1,
    ):
        super().__init__(every)
        column = getattr(measure, "column", None)
        if not isinstance(column, Labels):
            raise RecipeError(f"class_balance.measure: {kind_of(measure)} reads no class of {attribute}")
        given = list(shares or [1 / column.classes] * column.classes)
        if len(given) != column.classes or not math.isclose(sum(given), 1, rel_tol=1e-3):
            raise RecipeError(
                f"class_balance.shares: {column.classes} classes need {column.classes} shares whose sum is 1, got "
                f"{len(given)} with the sum {sum(given):g}"
            )
        self.attribute, self.name, self.weight = attribute, f"balance_{attribute}", weight
        self.measure: Any = freeze(measure) if isinstance(measure, nn.Module) else measure
        self.register_buffer("shares", torch.tensor(given), persistent=False)

    def check(self, gan: Pair) -> None:
        check_measure(self.measure, gan.generator.sample_shape, self.attribute)

    def forward(self, turn: Turn) -> Tensor:
        seen = whole_batch_with_graph(values_read(self.measure, turn.fake.x, self.attribute))
        q = seen.mean(0) + LEAST
        return self.weight * (self.shares * (self.shares / q).log()).sum()
