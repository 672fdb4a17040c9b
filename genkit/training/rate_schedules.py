"""Learning-rate factors as pure functions of the iteration, so that a checkpoint has nothing to remember."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


class LearningRate(ABC):
    """A schedule: the factor of the learning rate by iteration."""

    @abstractmethod
    def factor(self, step: int, steps: int) -> float:
        """The factor in iteration `step` (from 0) of `steps`; in [0, 1]."""


@dataclass(frozen=True)
class Constant(LearningRate):
    """Rises from 0 over `warmup` iterations, then stays at 1."""

    warmup: Annotated[int, Field(ge=0)] = 0

    def factor(self, step: int, steps: int) -> float:
        return min(1.0, (step + 1) / (self.warmup + 1))


@dataclass(frozen=True)
class Linear(LearningRate):
    """Stays at 1 until iteration `start`, then falls in a straight line that would reach `floor` one past the last."""

    start: Annotated[int, Field(ge=0)] = 0
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0

    def factor(self, step: int, steps: int) -> float:
        done = max(0, step - self.start) / max(1, steps - self.start)
        return 1 - (1 - self.floor) * done


@dataclass(frozen=True)
class Cosine(LearningRate):
    """Rises over `warmup` iterations, then half a cosine to `floor`. Loshchilov & Hutter 2017, arXiv:1608.03983."""

    warmup: Annotated[int, Field(ge=0)] = 0
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0

    def factor(self, step: int, steps: int) -> float:
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        done = (step - self.warmup) / max(1, steps - self.warmup)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Inverse(LearningRate):
    """(1 + rate * iteration)^-power. Ganin & Lempitsky 2015, arXiv:1409.7495, appendix, by the share of the run done.

    The defaults are those of Balaji et al. 2020 for domain adaptation, arXiv:2010.05862, by their code.
    """

    rate: Annotated[float, Field(ge=0)] = 1e-4
    power: Annotated[float, Field(ge=0)] = 0.75

    def factor(self, step: int, steps: int) -> float:
        return (1 + self.rate * step) ** -self.power
