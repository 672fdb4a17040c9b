"""From what an image shall show to the slice of w that shows it. Shoshan et al. 2021, arXiv:2101.02477, Sec. 3.2."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core.columns.column import Column
from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.errors import RecipeError
from genkit.core.pretrained import Configured
from genkit.gan.stylegan2.equalised import dense
from genkit.layers.arguments import Depth, Width


class ControlEncoder(Configured, nn.Module):
    """Rows of a column -> a slice of w: (B,) -> (B, dim), layers that all end in leaky ReLU, as w itself does.

    A class enters as one-hot, a number of a circle as its cosine and sine, another one from -1 to 1 over its range.

    Args:
        column: what is asked for.
        dim: width of the slice.
        width: of the layers between.
        depth: layers.
        rate: learning-rate multiplier of them; 0.01 in the authors' code, which learns a hundred times as slowly.

    Raises:
        RecipeError: a column of neither classes nor numbers.
    """

    def __init__(
        self,
        column: Column,
        dim: Width,
        width: Width = 512,
        depth: Depth = 4,
        rate: Annotated[float, Field(gt=0, le=1)] = 1.0,
    ):
        super().__init__()
        self.column = column
        self.layers = dense([self._inputs(), *[width] * (depth - 1), dim], rate)

    def _inputs(self) -> int:
        if isinstance(self.column, Labels):
            return self.column.classes
        if isinstance(self.column, Values):
            return 2 if self.column.cyclic else 1
        raise RecipeError(f"column: classes or numbers can be asked for, not {self.column.about}")

    def encoded(self, rows: Tensor) -> Tensor:
        """The input of the layers, of rows (B,) of the column or of the probabilities of its classes (B, classes)."""
        column = self.column
        if isinstance(column, Labels):
            return rows if rows.dim() == 2 else nn.functional.one_hot(rows, column.classes).float()
        assert isinstance(column, Values)
        if column.cyclic:
            return column.on_circle(rows).float()
        return 2 * ((rows - column.low) / column.span)[:, None].float() - 1

    def forward(self, rows: Tensor) -> Tensor:
        found: Tensor = self.layers(self.encoded(rows))
        return found

    def over(self, w: Tensor, rows: Tensor) -> Tensor:
        """A slice of w (B, dim), replaced where `rows` (B,) ask for something."""
        asked = self.column.asked(rows)
        return torch.where(asked[:, None], self(torch.where(asked, rows, torch.zeros_like(rows))), w)
