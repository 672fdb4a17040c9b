"""Scores of a predictor of attributes: accuracy of classes, mean absolute error of numbers."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.condition import ConditionSpace
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import EvaluationError
from genkit.core.evaluating import evaluating
from genkit.core.progress import Progress
from genkit.evaluation.scores import versions

ROWS = 250
"""Images that are predicted at a time."""


@runtime_checkable
class Predicting(Protocol):
    """A reader of attributes of images, each a column of `conditions`; measured properties count too."""

    @property
    def conditions(self) -> ConditionSpace: ...

    @property
    def device(self) -> torch.device: ...

    def predict(self, x: Tensor) -> Mapping[str, Tensor]:
        """name -> (B,): numbers of classes, or numbers in the column's unit, of images (B, C, H, W) in [-1, 1]."""
        ...

    def embed(self, x: Tensor, name: str) -> Tensor:
        """(B, F) of one attribute: what distances are of."""
        ...


def attribute_errors(
    predictor: Predicting,
    data: Any,
    n: int = 10_000,
    seed: int = 0,
    progress: Progress | None = None,
    crew: Crew = ALONE,
) -> dict[str, Any]:
    """A score an attribute, as `Scores.to_json` gives scores.

    Classes are scored by accuracy; numbers by their mean absolute error in their own unit, the shorter way round where
    they lie on a circle. "in words" gives the latter in degrees of the circle, or in deviations of uniform numbers.

    Args:
        predictor: its `conditions` are the attributes.
        data: a data set with them, see genkit.data.dataset.DataSet.
        n: rows, drawn without replacement; all when there are fewer.
        seed: of the rows.
        progress: called with (rows done, in total).
        crew: processes that share the rows, and have the same scores; each of them calls this.

    Raises:
        EvaluationError: the data lack an attribute, or have another of its name.
    """
    columns, started = known_columns(predictor, data), time.monotonic()
    chosen = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:n]
    apart = dict[int, dict[str, Tensor]]()
    for k, index, predicted in predictions(predictor, data, chosen, progress, crew):
        known = data.condition(index)
        apart[k] = {
            name: _apart(column, predicted[name].cpu(), known[name]).double() for name, column in columns.items()
        }
    parts = crew.gathered(apart)
    values = {name: torch.cat([part[name] for part in parts]) for name in columns}
    return {
        "values": {name: rows.mean().item() for name, rows in values.items()},
        "standard_errors": {
            name: rows.std(correction=0).item() / math.sqrt(len(rows)) for name, rows in values.items()
        },
        "labels": {name: f"{name}: {_kind(column)}" for name, column in columns.items()},
        "in words": {name: in_words(column, values[name].mean().item()) for name, column in columns.items()},
        "better": {name: "higher" if isinstance(column, Labels) else "lower" for name, column in columns.items()},
        "against": {"name": data.name, "n": len(chosen), "fingerprint": data.fingerprint},
        "seed": seed,
        "warnings": [],
        "seconds": time.monotonic() - started,
        "versions": versions(),
    }


def predictions(
    predictor: Any, data: Any, chosen: Tensor, progress: Progress | None = None, crew: Crew = ALONE
) -> Iterator[tuple[int, Tensor, Mapping[str, Tensor]]]:
    """(number, rows, what is predicted of them) of the batches of `chosen` that fall to this process."""
    for done, index in crew.my_batches(chosen, ROWS):
        with torch.no_grad(), evaluating(predictor):
            predicted = predictor.predict(data.rows(index).to(predictor.device))
        yield done, index, predicted
        if progress:
            progress(min((done + 1) * ROWS, len(chosen)), len(chosen))


def known_columns(predictor: Predicting, data: Any) -> dict[str, Labels | Values]:
    """The attributes that `predictor` reads and `data` tell, by name.

    Numbers may go beyond the range that was learned, which is then scored too.

    Raises:
        EvaluationError: see `attribute_errors`.
    """
    found = dict[str, Labels | Values]()
    for name, column in predictor.conditions.items():
        offered = data.conditions.get(name)
        if isinstance(column, Values) and isinstance(offered, Values) and not column.cyclic:
            misfit = "" if not offered.cyclic else column.misfit(name, offered)
        else:
            misfit = column.misfit(name, offered)
        if misfit:
            raise EvaluationError(
                f"{data.name}: the predictor {misfit}; their attributes: {', '.join(data.conditions) or 'none'}"
            )
        assert isinstance(column, Labels | Values)
        found[name] = column
    return found


def in_words(column: Labels | Values, error: float) -> str:
    """A mean error, or accuracy, as a person reads it."""
    if isinstance(column, Labels):
        return f"{100 * (1 - error):.2f} % wrong"
    if column.cyclic:
        return f"{360 * error / column.span:.2f} degrees of the circle"
    return f"{error / column.deviation:.3f} of the deviation"


def _kind(column: Labels | Values) -> str:
    return "accuracy" if isinstance(column, Labels) else f"mean absolute error {column.unit}".rstrip()


def _apart(column: Labels | Values, predicted: Tensor, known: Tensor) -> Tensor:
    return predicted == known if isinstance(column, Labels) else column.distance(predicted, known)
