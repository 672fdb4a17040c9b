"""Updates as a system yields them: checked, cut into micro-batches, their losses summed."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from torch import Tensor

from genkit.core import tree
from genkit.core.errors import TrainingError, kind_of, shown, suggest
from genkit.core.system import Turns, Update
from genkit.training.trainable import unsplittable


def check_turns(turns: Any) -> Turns:
    """`turns`, if they are a Python generator.

    Raises:
        TrainingError: `iteration` returned something else, such as a list of Updates.
    """
    if not hasattr(turns, "send"):
        raise TrainingError(f"iteration() of the system returned {kind_of(turns)}; it yields Updates, one by one")
    return turns  # type: ignore[no-any-return]


def check_update(update: Any, learners: Mapping[str, object]) -> None:
    """Raises TrainingError unless it is an Update of one of the learners."""
    if not isinstance(update, Update):
        raise TrainingError(f"iteration() of the system yielded {kind_of(update)}; it yields Updates")
    if update.learner not in learners:
        near = suggest(update.learner, learners)
        raise TrainingError(f"the update by {loss_name(update)} moves no learner: {shown(update.learner)}{near}")


def pieces(update: Update, count: int) -> Iterator[dict[str, Any]]:
    """The rows of an update in `count` micro-batches of the same size.

    Raises:
        RecipeError: its samples are coupled.
        TrainingError: they cannot be split so.
    """
    if count == 1:
        yield dict(update.on)
        return
    if update.coupled:
        raise unsplittable(loss_name(update), count)
    for number, rows in ((name, len(leaf)) for name, on in update.on.items() for leaf in tree.leaves(on)):
        if rows % count:
            raise TrainingError(
                f"{loss_name(update)} has {rows} rows in {number!r}, which train.accumulate={count} cannot split evenly"
            )
    for i in range(count):
        yield tree.map(partial(_chunk, count, i), dict(update.on))


def _chunk(count: int, i: int, rows: Tensor) -> Tensor:
    return rows.chunk(count)[i]


def descended(update: Update, terms: Any) -> Tensor:
    """The sum of the terms that are not observed.

    Raises:
        TrainingError: there is none, or one is no number with a graph.
    """
    if not isinstance(terms, Mapping):
        raise TrainingError(
            f"{loss_name(update)} returned {kind_of(terms)}; a loss returns terms by name: descend(name=...)"
        )
    observed: Container[str] = getattr(terms, "observed", frozenset())
    found = {name: term for name, term in terms.items() if name not in observed}
    for name, term in found.items():
        _check_term(name, term, update)
    if not found:
        raise TrainingError(f"{loss_name(update)} has no term to descend; return one by descend(...)")
    return summed(found.values())


def summed(terms: Iterable[Tensor]) -> Tensor:
    """The sum of one term or more, in their order."""
    first, *others = terms
    return sum(others, first)


def _check_term(name: str, term: Any, update: Update) -> None:
    what = f"term {name!r} of {loss_name(update)}"
    if not isinstance(term, Tensor):
        raise TrainingError(f"{what} is {kind_of(term)}; what is descended is a tensor, what is logged too")
    if not term.requires_grad:
        raise TrainingError(
            f"{what} does not depend on the {update.learner}; what is only to be logged is returned by observe(...)"
        )
    if term.numel() != 1:
        raise TrainingError(f"{what} has the shape {list(term.shape)}; what is descended is one number, take its mean")


def loss_name(update: Update) -> str:
    """Name of the function that computes the loss, for messages."""
    function = getattr(update.loss, "func", update.loss)
    return getattr(function, "__qualname__", type(function).__name__)
