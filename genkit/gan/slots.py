"""The slots of GANTraining: what a technique may be, and the empty technique of each slot.

A technique sees the pair only through `gan.generator`, `gan.score`, `gan.judge` and samples, never a concrete network.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core import tree
from genkit.core.condition import Condition
from genkit.core.generator import LatentGenerator
from genkit.core.system import Batch, Data, Learning, Terms, Turns, Update, descend, observe
from genkit.gan.objectives import Objective


@dataclass(frozen=True)
class Judged:
    """Samples and what one pass of the critic said of them.

    Attributes:
        x: (B, *sample_shape).
        y: their condition.
        score: (B,).
        features: (B, F), before the critic's last layer; None where it has none.
    """

    x: Tensor
    y: Condition
    score: Tensor
    features: Tensor | None


class Pair(Protocol):
    """What a technique may know of the game it is played in."""

    @property
    def generator(self) -> LatentGenerator: ...
    @property
    def critic(self) -> nn.Module: ...
    @property
    def objective(self) -> Objective: ...
    def score(self, x: Tensor, y: Condition | None = None) -> Tensor: ...
    def judge(self, x: Tensor, y: Condition) -> Judged: ...
    def asked(self, condition: Condition) -> dict[str, Tensor]: ...


class Technique:
    """Anything that may need something of the pair that not every pair has."""

    def check(self, gan: Pair) -> None:
        """Raises RecipeError when the pair lacks what the technique needs."""


class View(Technique, nn.Module):
    """All that the critic ever sees: real, fake and in between. This one shows samples as they are."""

    def forward(self, x: Tensor) -> Tensor:
        return x


Side = Literal["real", "fake"]


class Weighting(Technique, Learning):
    """Mean-one weights (B,) of samples, without a graph; may have a learner of its own.

    Attributes:
        side: of the critic's loss, whose samples it weighs.
    """

    coupled: ClassVar[bool] = False
    side: Side = "real"

    def take(self, side: Side) -> None:
        """The game says which side this is for."""
        self.side = side

    def forward(self, judged: Judged) -> Tensor:
        raise NotImplementedError

    def weighted(self, term: Callable[[Tensor], Tensor], score: Tensor, weights: Tensor) -> Tensor:
        """The mean of the critic's `term` of scores (B,), weighted."""
        return (weights * term(score)).mean()

    def observe(self, weights: Tensor) -> Terms:
        """Scalars to log."""
        return observe()

    def turns(self, gan: Pair, on: dict[str, Any], step: int) -> Turns:
        """The weighting's own updates before the critic's step number `step`, on what that step will be given:
        x, y, z and u, see GANTraining."""
        yield from ()


class Uniform(Weighting):
    """Every sample counts the same."""

    def forward(self, judged: Judged) -> Tensor:
        return judged.score.new_ones(len(judged.score))


class Penalty(Technique, Learning, ABC):
    """An extra term of the critic, a scalar; `u` is one uniform number a sample, (B,)."""

    name: ClassVar[str]
    coupled: ClassVar[bool] = False

    @abstractmethod
    def forward(self, gan: Pair, real: Judged, fake: Judged, u: Tensor) -> Tensor: ...


class Rule(Technique, Learning, ABC):
    """How the generator moves, once the critic has had its steps on `real` and the latents `z` of the last of them."""

    @abstractmethod
    def turns(self, gan: Pair, data: Data, real: Batch, z: Tensor) -> Turns: ...


class Ascent(Rule):
    """The plain rule: up the reward of fresh samples, `steps` times.

    Args:
        steps: generator updates an iteration.
        batches: how many times the critic's batch each of them samples; labels are repeated.
    """

    def __init__(
        self, steps: Annotated[int, Field(ge=1, le=1000)] = 1, batches: Annotated[int, Field(ge=1, le=64)] = 1
    ):
        super().__init__()
        self.steps, self.batches = steps, batches

    def turns(self, gan: Pair, data: Data, real: Batch, z: Tensor) -> Turns:
        # A row's latents lie side by side, so that the rows of a process are a piece of the whole batch.
        y = {name: value.repeat_interleave(self.batches) for name, value in gan.asked(real.condition).items()}
        for _ in range(self.steps):
            drawn = [gan.generator.latents(data) for _ in range(self.batches)]
            on = {"z": tree.map(lambda *z: torch.stack(z, 1).flatten(0, 1), *drawn), "y": y}
            yield Update("generator", partial(self.loss, gan), on)

    def loss(self, gan: Pair, z: Tensor, y: Condition) -> Terms:
        return descend(loss=-gan.objective.reward(gan.score(gan.generator(z, y), y)).mean())


class Cotask(Technique, Learning, ABC):
    """Something else the pair learns in the same iteration."""

    @abstractmethod
    def turns(self, gan: Pair, data: Data) -> Turns: ...


class Schedule(Technique, ABC):
    """Sets a declared attribute as a pure function of the iteration."""

    @abstractmethod
    def apply(self, gan: Pair, step: int) -> None: ...
