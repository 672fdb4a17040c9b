"""Measured changes of images: a judge of attributes reads them before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from genkit.core.columns.column import Column
from genkit.core.columns.values import Values
from genkit.core.condition import ConditionSpace
from genkit.core.errors import EvaluationError, kind_of
from genkit.images.properties import CYCLIC, properties

BATCH = 64
"""Images at a time."""
COLOURS, COLOURLESS = ("hue", "saturation"), 0.02
"""Properties of colour, and the mean chroma up to which an image has none: the noise of a compressed grey one."""
RANGES = {"across": (-1.0, 1.0), "down": (-1.0, 1.0), "aspect": (0.0, 100.0)}
"""Of the properties that do not lie in [0, 1]."""
SEEN = {"aspect": 0.1}
"""Of the properties: the least change that an eye sees; 0.01 of all others."""
IN_WORDS = {
    "area": "area that stands out",
    "aspect": "height by width",
    "across": "how far right it lies",
    "down": "how far down it lies",
}
"""Of the properties whose names alone say little to somebody who reads a page."""


@runtime_checkable
class AttributeJudge(Protocol):
    """Reads attributes of images (B, C, H, W): numbers, or numbers of classes, (B,) by name."""

    @property
    def sample_shape(self) -> tuple[int, ...]: ...
    @property
    def conditions(self) -> ConditionSpace: ...
    def predict(self, x: Tensor) -> Mapping[str, Tensor]: ...


class PixelJudge:
    """Reads what pixels show, see `genkit.images.properties`: a judge of such images, which has learned nothing.

    Args:
        images: (N, C, H, W) real ones; of grey images in three channels it reads no colour, which would be rounding.
    """

    def __init__(self, images: Tensor):
        self.sample_shape = tuple(images.shape[1:])
        found = properties(images)
        grey = bool((found.get("saturation", torch.zeros(1)) <= COLOURLESS).all())
        columns = {
            name: Values(*RANGES.get(name, (0.0, 1.0)), cyclic=name in CYCLIC)
            for name in found
            if not (grey and name in COLOURS)
        }
        self.conditions = ConditionSpace({IN_WORDS.get(name, name): column for name, column in columns.items()})
        self.seen = {IN_WORDS.get(name, name): SEEN.get(name, 0.01) for name in columns}

    def predict(self, x: Tensor) -> Mapping[str, Tensor]:
        found = {IN_WORDS.get(name, name): rows for name, rows in properties(x).items()}
        return {name: found[name] for name in self.conditions}


class Properties:
    """The properties that a judge reads, in units of how much they vary over real images; where they hardly do, such as
    height by width of round shapes, of the least change that an eye sees, which the judge may say (`seen`).

    Args:
        images: (N, C, H, W) real ones.

    Raises:
        EvaluationError: no judge, or one of other images.
    """

    def __init__(self, judge: AttributeJudge, images: Tensor):
        if not isinstance(judge, AttributeJudge):
            raise EvaluationError(f"judge: {kind_of(judge)} reads no attributes of images")
        if tuple(judge.sample_shape) != tuple(images.shape[1:]):
            raise EvaluationError(
                f"judge: it takes images of {list(judge.sample_shape)}, and these are {list(images.shape[1:])}"
            )
        self.judge = judge
        natural = self.read(images)
        self.columns: dict[str, Column] = {name: judge.conditions[name] for name in natural}
        seen: Mapping[str, float] = getattr(judge, "seen", {})
        self.units = {name: max(self._deviation(name, rows), seen.get(name, 1e-12)) for name, rows in natural.items()}

    @torch.no_grad()
    def read(self, images: Tensor) -> dict[str, Tensor]:
        """Name -> (n,) on the CPU."""
        device = getattr(self.judge, "device", "cpu")
        parts = [self.judge.predict(x.to(device)) for x in images.split(BATCH)]
        return {name: torch.cat([part[name].cpu() for part in parts]) for name in parts[0]}

    def _deviation(self, name: str, rows: Tensor) -> float:
        """Standard deviation, around the mean direction where numbers lie on a circle; 1 of classes."""
        column = self.columns[name]
        if not isinstance(column, Values):
            return 1.0
        if not column.cyclic:
            return rows.double().std().item()
        angle = torch.atan2(*column.on_circle(rows.double()).mean(0).flip(0))
        middle = column.low + angle / (2 * torch.pi) * column.span
        return column.distance(rows.double(), middle).square().mean().sqrt().item()

    def changes(self, before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Name -> (n,) signed change, in deviations; of classes 1 where it is another one."""
        found = dict[str, Tensor]()
        for name, column in self.columns.items():
            a, b = before[name], after[name]
            if not isinstance(column, Values):
                found[name] = (a != b).double()
                continue
            apart = b.double() - a.double()
            if column.cyclic:
                apart = (apart + column.span / 2) % column.span - column.span / 2
            found[name] = apart / self.units[name]
        return found
