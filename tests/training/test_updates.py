"""Faults of a system that training tells in one line: losses and updates that are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from genkit.core.errors import RecipeError, TrainingError
from genkit.core.system import Data, System, Turns, Update, descend, observe
from genkit.training.updates import pieces
from tests.training.test_trainer import Scaled, Toy, trainer


class Returning(Toy):
    """A loss that is `made` of a number with a graph."""

    def __init__(self, made: Callable[[Tensor], Any]):
        super().__init__()
        self.made = made

    def loss(self, x: Tensor) -> Any:
        return self.made(self.generator.scale.sum())


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda a: None, r"^Returning\.loss returned nothing; .* descend\(name=\.\.\.\)$"),
        (lambda a: a, "returned a Tensor; a loss returns terms by name"),
        (lambda a: descend(a=a, b=1.0), r"term 'b' of Returning\.loss is a float"),
        (lambda a: descend(a=a.expand(8)), r"term 'a' .* has the shape \[8\]; .* take its mean"),
        (lambda a: descend(a=a) | descend(a=2 * a), "two terms of a loss are called 'a', and one would hide the other"),
        (lambda a: descend(a=a) | observe(a=a), "two terms of a loss are called 'a'"),
        (lambda a: observe(a=a) | {"a": a}, "two terms of a loss are called 'a'"),
    ],
)
def test_a_loss_is_numbers_by_name(made: Callable[[Tensor], Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        trainer(Returning(made)).iterate()


class Yielding(Toy):
    """An iteration that is `made` of its update."""

    def __init__(self, made: Callable[[Update], Any]):
        super().__init__()
        self.made = made

    def iteration(self, data: Data, step: int) -> Any:
        return self.made(Update("generator", self.loss, {"x": next(data).x}))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda update: [update], "returned a list; it yields Updates, one by one"),
        (lambda update: None, "returned nothing"),
        (lambda update: (_ for _ in ()), "yielded no Update, so nothing was trained"),
        (lambda update: (yield 3), "yielded an int; it yields Updates"),
        (lambda update: (yield Update("critc", update.loss, {})), "by Toy.loss moves no learner: 'critc'; accepted"),
    ],
)
def test_an_iteration_yields_updates_of_its_learners(made: Callable[[Update], Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        trainer(Yielding(made)).iterate()


def test_rows_that_cannot_be_split_evenly_are_refused() -> None:
    """Micro-batches of two rows and of one would count the last row twice."""
    x = torch.zeros(3, 1)
    for on in ({"x": x}, {"x": x[:2], "z": (x[:2], {"deep": x})}):
        with pytest.raises(
            TrainingError, match=r"Toy\.loss has 3 rows in '[xz]', which train\.accumulate=2 cannot split"
        ):
            list(pieces(Update("generator", Toy().loss, on), 2))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("generatr",), "learner 'generator' has the part 'generatr', which is no attribute of it"),
        ("generator", "learner 'generator' has the part 'g', which is no attribute .* tuple of attributes"),
        (("spec",), "the part 'spec', which is a dict, no module; .* type hint"),
    ],
)
def test_a_learner_is_made_of_modules(parts: Any, message: str) -> None:
    class Misnamed(System):
        learners = {"generator": parts}  # noqa: RUF012

        def __init__(self) -> None:
            super().__init__()
            self.generator, self.spec = Scaled(), {"type": "gan"}

        def iteration(self, data: Data, step: int) -> Turns: ...

    with pytest.raises(RecipeError, match=message):
        Misnamed().all_learners()
