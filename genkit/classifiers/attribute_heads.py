"""Outputs of a network for an attribute, by its column: logits of classes, a number, or a point of a circle."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.core.columns.column import Column
from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.errors import RecipeError, shown


def outputs_of(name: str, column: Column) -> int:
    """The number of outputs: one a class, one for a number, two for a number on a circle.

    Raises:
        RecipeError: neither classes nor numbers.
    """
    if isinstance(column, Labels):
        return column.classes
    if isinstance(column, Values):
        return 2 if column.cyclic else 1
    raise RecipeError(f"attributes.{name}: classes or numbers can be predicted, not {shown(column.about)}")


def standardised(column: Values, rows: Tensor) -> Tensor:
    """Numbers (B,) as (B, 1): of mean 0 and deviation 1 where they are uniform; on a circle (B, 2), (cos, sin)."""
    if column.cyclic:
        return column.on_circle(rows)
    return ((rows - (column.low + column.high) / 2) / column.deviation)[:, None]


def embedded(column: Column, output: Tensor) -> Tensor:
    """(B, F), what distances are of: probabilities of the classes, a standardised number, or a unit vector."""
    if isinstance(column, Labels):
        return output.softmax(1)
    return F.normalize(output, dim=1) if output.shape[1] == 2 else output


def predicted(column: Column, output: Tensor) -> Tensor:
    """(B,): the likeliest class, int64, or the number, which may lie beyond the column's range."""
    if not isinstance(column, Values):
        return output.argmax(1)
    if column.cyclic:
        return column.wrapped(column.low + torch.atan2(output[:, 1], output[:, 0]) / (2 * math.pi) * column.span)
    return (column.low + column.high) / 2 + output[:, 0] * column.deviation


def attribute_loss(column: Column, output: Tensor, rows: Tensor) -> Tensor:
    """The mean over the batch of the cross-entropy, or of the squared error of what is `standardised`."""
    if not isinstance(column, Values):
        return F.cross_entropy(output, rows)
    return (output - standardised(column, rows)).square().sum(1).mean()
