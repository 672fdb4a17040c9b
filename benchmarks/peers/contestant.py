"""The contract of all that are compared: a training that goes step by step, and samples of what it has learned."""

from __future__ import annotations

import importlib
import importlib.util
import os
import random
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 32
"""Pixels that some packages need: smaller images get black around them, and samples are cut back."""
MARGIN = 0.96
"""Of the budget that a schedule is planned with, so that it comes to its end."""


class Contestant(ABC):
    """A training that can be driven step by step.

    Attributes:
        about: its settings in words.
        parts: what its state consists of, each with `state_dict` and `load_state_dict`.
        steps: that were done.
        spent: CPU seconds of the budget that building it has taken, for a schedule that must know its length.
    """

    about: str
    parts: Mapping[str, Any]
    steps: int = 0
    spent: float = 0.0

    @abstractmethod
    def step(self) -> None:
        """One iteration, whatever the package calls so."""

    @abstractmethod
    def sample(self, n: int) -> Tensor:
        """(n, C, S, S) uint8 as the images are, drawn with torch's global generator."""

    @property
    def done(self) -> bool:
        """Whether a schedule of known length has come to its end."""
        return False

    @property
    def parameters(self) -> int:
        """Of what makes the samples."""
        raise NotImplementedError

    def save(self, path: Path, spent: float) -> None:
        """Writes the state and the random state, atomically."""
        states = {name: part.state_dict() for name, part in self.parts.items()}
        rest = {"steps": self.steps, "spent": spent, "torch": torch.get_rng_state(), "python": random.getstate()}
        torch.save({"parts": states, **rest}, path.with_suffix(".tmp"))
        os.replace(path.with_suffix(".tmp"), path)

    def load(self, path: Path) -> float:
        """Puts back what `save` wrote, a file of this benchmark's own; returns the CPU seconds that it had taken."""
        found = torch.load(path, weights_only=True)
        for name, part in self.parts.items():
            part.load_state_dict(found["parts"][name])
        self.steps = found["steps"]
        torch.set_rng_state(found["torch"])
        version, state, gauss = found["python"]
        random.setstate((version, tuple(state), gauss))
        return float(found["spent"])


@dataclass(frozen=True)
class Images:
    """What all train on.

    Attributes:
        x: (N, C, S, S) uint8, S at most 32.
        named: the same as genkit's command line names it: the spec of a set, or the path of a folder or zip.
    """

    x: Tensor
    named: Mapping[str, Any] | Path

    @property
    def channels(self) -> int:
        return self.x.shape[1]

    @property
    def size(self) -> int:
        return self.x.shape[-1]

    def like(self, x: Tensor) -> Tensor:
        """Samples in [0, 1] of one or three channels and S or 32 pixels -> (n, C, S, S) uint8."""
        x = x.float().mean(1, keepdim=True) if self.channels == 1 else x.float()
        edge = (x.shape[-1] - self.size) // 2
        x = F.pad(x, [-edge] * 4)
        return (x.clamp(0, 1) * 255).round().to(torch.uint8)


@dataclass(frozen=True)
class Arm:
    """A contestant with one choice of settings.

    Attributes:
        name: unique.
        family: what it is compared with.
        module: of this package, which has the function `builder`.
        package: as pip names it; empty for genkit.
        settings: given to the builder.
        n: samples that are scored at most; fewer where they cost too much.
        planned: whether its settings depend on the budget, so that every budget is a training of its own.
    """

    name: str
    family: str
    module: str
    package: str = ""
    builder: str = "build"
    settings: str = "own"
    n: int = 2000
    planned: bool = False

    def build(self, images: Images, seed: int, seconds: float) -> Contestant:
        """A contestant at step 0, of the CPU seconds of a budget.

        Raises:
            ImportError: its package is not installed.
        """
        made: Contestant = getattr(importlib.import_module(self.module), self.builder)(
            images, seed, seconds, self.settings
        )
        return made


def reseed(seed: int) -> None:
    """All global generators that packages draw from."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


class Batches:
    """Endless shuffled batches in [0, 1], the images held as one tensor: no package pays for its reading of files.

    Args:
        padded: with black to 32 pixels.
        colour: three channels, equal ones of a grey image.
    """

    def __init__(self, images: Tensor, size: int, padded: bool = False, colour: bool = False):
        self.images, self.size, self.colour = images, size, colour
        self.edge = (SIDE - images.shape[-1]) // 2 if padded else 0
        self._rows = self._order()

    def _order(self) -> Iterator[Tensor]:
        while True:
            yield from torch.randperm(len(self.images)).split(self.size)[: len(self.images) // self.size]

    def __next__(self) -> Tensor:
        x = self.images[next(self._rows)].float() / 255
        x = F.pad(x, [self.edge] * 4)
        return x.expand(-1, 3, -1, -1).contiguous() if self.colour else x

    def __iter__(self) -> Batches:
        return self


def in_parts(n: int, size: int, draw: Callable[[int], Tensor]) -> Tensor:
    with torch.no_grad():
        return torch.cat([draw(min(size, n - i)) for i in range(0, n, size)])


class Hollow(ModuleType):
    """A module in which every name is there and is nothing."""

    def __init__(self, name: str):
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Hollow modules in the place of packages that are not installed and only needed for logs, scores and data."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    sys.modules.update({name: Hollow(name) for name in missing})
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
