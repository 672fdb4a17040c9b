"""Scores of a generator with controls: errors, drift of other attributes, disentanglement, diversity.

The score of disentanglement is that of Deng et al. 2020, arXiv:2004.11660 (DiscoFaceGAN).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from genkit.core.columns.column import Column
from genkit.core.columns.values import Values
from genkit.evaluation.scores import versions


@dataclass(frozen=True)
class Mean:
    """A mean over images, and its standard error."""

    value: float
    error: float

    @classmethod
    def of(cls, rows: Tensor, factor: float) -> Mean:
        rows = factor * rows.double()
        return cls(rows.mean().item(), (rows.std() / len(rows) ** 0.5).item())


@dataclass(frozen=True)
class AttributeScores:
    """Scores of one attribute.

    Attributes:
        unit: of all errors: "deg" around a circle, "sd" of the real images' values, "%" of images of a wrong class.
        errors: target against what the judge sees, by kind of target: "real" (values of real images), "own" (values of
            the generator's own images); "chance" (targets of other images), "nearest" (copying the slice of the own
            image whose value is nearest, instead of an encoder), "judge" (of real images themselves).
        drift: of every other attribute that the judge reads, when this one alone is changed: mean distance over that of
            any two images.
        disentanglement: product over the others that can be asked for of how much this one varies over how much they
            do; higher is better.
        diversity: mean distance of pixels of two images with the same wish, over that of any two.
        classes: name -> share among real and among generated images, as the judge sees them.
    """

    unit: str
    errors: dict[str, Mean]
    drift: dict[str, float]
    disentanglement: float
    diversity: float
    classes: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class ControlScores:
    """The scores of every attribute, and what they depend on."""

    attributes: dict[str, AttributeScores]
    data: dict[str, Any]
    n: int
    seed: int
    seconds: float
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "versions": versions()}


def disentanglement(name: str, changed: Mapping[str, float], n: int) -> float:
    """prod over j != name of sigma_name / sigma_j, sigma the deviation of an attribute when `name` alone is
    changed, over its deviation among real images; none is less than 1 / n. Deng et al. 2020, arXiv:2004.11660."""
    found = 1.0
    for other, value in changed.items():
        found *= changed[name] / max(value, 1 / n) if other != name else 1.0
    return found


def unit_of(column: Column, targets: Tensor) -> tuple[str, float]:
    """The unit that errors of a column are told in, and what they are multiplied by."""
    if not isinstance(column, Values):
        return "%", 100.0
    if column.cyclic:
        return "deg", 360 / column.span
    return "sd", 1 / max(targets.double().std().item(), 1e-12)
