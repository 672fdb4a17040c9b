"""Learning-rate factors as pure functions of the iteration, so that a checkpoint has nothing to remember."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


class LearningRate(ABC):
    """What the learning rate is multiplied by."""

    @abstractmethod
    def factor(self, step: int, steps: int) -> float:
        """In iteration `step` (from 0) of `steps`; in [0, 1]."""


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
