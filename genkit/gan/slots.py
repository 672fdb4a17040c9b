"""The slots of GANTraining: the contract of the techniques in each, and its empty technique.

A technique sees the pair only through `gan.generator`, `gan.score`, `gan.judge` and samples, never a concrete network.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated, Any, ClassVar, Literal, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core import tree
from genkit.core.condition import Condition
from genkit.core.errors import RecipeError, suggest
from genkit.core.generator import LatentGenerator
from genkit.core.system import Batch, Data, Learning, Report, Terms, Turns, Update, descend, observe
from genkit.core.tree import Tree
from genkit.gan.objectives import Objective


@dataclass(frozen=True)
class Judged:
    """Samples with the results of one pass of the critic.

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
    """The part of the game that techniques may use."""

    @property
    def generator(self) -> LatentGenerator: ...
    @property
    def critic(self) -> nn.Module: ...
    @property
    def objective(self) -> Objective: ...
    def score(self, x: Tensor, y: Condition | None = None) -> Tensor: ...
    def judge(self, x: Tensor, y: Condition) -> Judged: ...
    def asked(self, real: Batch) -> dict[str, Tensor]: ...
    def latents(self, data: Data, x: Tensor) -> Tree: ...
    def added(self, turn: Turn, step: int) -> Terms: ...
    def couples(self, player: Player, step: int) -> bool: ...


Player = Literal["critic", "generator"]
StepInterval = Annotated[int, Field(ge=1, le=1_000_000)]


class Turn:
    """A step of one player and its inputs; each of `real` and `fake` is computed once, for the loss and all terms.

    Args:
        player: whose step it is; in the critic's the fakes carry no graph to the generator.
        x: real samples (B, *sample_shape).
        y: condition of real and fake samples alike.
        z: latents of the fakes.
        u: one uniform number a sample, (B,); the generator's step has none.
    """

    def __init__(self, gan: Pair, player: Player, x: Tensor, y: Condition, z: Tree, u: Tensor | None = None):
        self.gan, self.player, self.x, self.y, self.z, self.u = gan, player, x, y, z, u

    @cached_property
    def real(self) -> Judged:
        return self.gan.judge(self.x, self.y)

    @cached_property
    def fake(self) -> Judged:
        """The fakes, judged; in the generator's step without the critic's features."""
        made = self.gan.generator(self.z, self.y)
        if self.player == "critic":
            return self.gan.judge(made.detach(), self.y)
        return Judged(made, self.y, self.gan.score(made, self.y), None)


class Technique:
    """Base of techniques; one may need a property that not every pair has."""

    def check(self, gan: Pair) -> None:
        """Raises RecipeError when the pair lacks a part that the technique needs."""


class View(Technique, nn.Module):
    """The transform of every input of the critic: real, fake and in between. This one changes nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return x

    def observe(self, score: Tensor) -> Terms:
        """Terms to log, from the critic's scores (B,) of real samples in each of its steps."""
        return observe()

    def adapt(self, report: Report) -> None:
        """Called after each step of the critic, with its logged terms."""


def check_chosen(where: str, chosen: Sequence[str], known: Sequence[str]) -> None:
    """Raises RecipeError, beginning with `where`, for no names, an unknown one, or one twice."""
    for name in chosen:
        if name not in known:
            raise RecipeError(f"{where}: got {name!r}{suggest(name, known)}")
    if not chosen or len(set(chosen)) < len(chosen):
        raise RecipeError(f"{where}: each of {', '.join(known)} at most once, and at least one; got {list(chosen)}")


LossSide = Literal["real", "fake"]
"""The side of the critic's loss whose samples are weighted."""


def of_side(name: str, side: LossSide) -> str:
    """Name in the game of a weighting's learner `name`: one weighting may stand on each side."""
    return name if side == "real" else f"fake_{name}"


class Weighting(Technique, Learning):
    """Mean-one weights (B,) of samples, without a graph; may have a learner of its own."""

    coupled: ClassVar[bool] = False

    def check(self, gan: Pair, side: LossSide = "real") -> None:
        """Raises RecipeError when the pair lacks a part that the weighting needs, or the side cannot be weighted."""

    def forward(self, judged: Judged, side: LossSide = "real") -> Tensor:
        raise NotImplementedError

    def weighted(self, term: Callable[[Tensor], Tensor], score: Tensor, weights: Tensor) -> Tensor:
        """The mean of the critic's `term` of scores (B,), weighted."""
        return (weights * term(score)).mean()

    def observe(self, weights: Tensor, side: LossSide = "real") -> Terms:
        """Scalars to log."""
        return observe()

    def turns(self, gan: Pair, on: dict[str, Any], step: int, side: LossSide = "real") -> Turns:
        """The weighting's own updates before the critic's step number `step`, on the inputs of that step: x, y, z
        and u, see GANTraining. Their learners are named by `of_side`."""
        yield from ()


class Uniform(Weighting):
    """Every sample counts the same."""

    def forward(self, judged: Judged, side: LossSide = "real") -> Tensor:
        return judged.score.new_ones(len(judged.score))

    def weighted(self, term: Callable[[Tensor], Tensor], score: Tensor, weights: Tensor) -> Tensor:
        return term(score).mean()


class Term(Technique, Learning):
    """A further term of the critic's or the generator's loss, or turns of its own.

    With `every` N it is part of its player's steps 0, N, 2N, ..., N times as large, so that the sum of its gradients
    stays (Karras et al. 2020, arXiv:1912.04958, App. B, who give it an optimiser step of its own and so have to correct
    Adam's settings; here it shares a step with the loss, unless it is wrapped in `own_step`). The log has it as it is
    descended, N times as large.

    Args:
        every: N, in steps of its player.

    Attributes:
        name: in the log.
        of: the player whose loss it is added to; None: it takes turns of its own.
        coupled: it depends on the samples of a batch together.
    """

    name: str
    of: ClassVar[Player | None] = "critic"
    coupled: ClassVar[bool] = False

    def __init__(self, every: int = 1):
        super().__init__()
        self.every = every

    def forward(self, turn: Turn) -> Tensor:
        """A scalar, the mean over the batch, with a graph."""
        raise NotImplementedError

    def counted(self, turn: Turn) -> Tensor:
        """The term as it is descended, `every` times as large."""
        term: Tensor = self(turn)
        return term if self.every == 1 else self.every * term

    def after_critic(self, gan: Pair, on: Mapping[str, Any], step: int) -> Turns:
        """Turns of its own after the critic's step number `step`, on the inputs of that step: x, y, z and u."""
        yield from ()

    def turns(self, gan: Pair, data: Data, step: int) -> Turns:
        """Turns of its own at the end of iteration `step`."""
        yield from ()


class Rule(Technique, Learning, ABC):
    """The steps of the generator; its loss has the terms `gan.added(turn, step)`, `step` the number of generator steps
    before it."""

    @abstractmethod
    def turns(self, gan: Pair, data: Data, real: Batch, z: Tree, step: int) -> Turns:
        """The updates in iteration `step`, after the critic's steps on `real`; `z` are the latents of the last step."""

    def check_batch(self, rows: int) -> None:
        """Raises RecipeError where the rule cannot do with batches of so many rows, of all processes together."""


class Ascent(Rule):
    """The plain rule: up the reward of fresh samples, `steps` times.

    Args:
        steps: generator updates an iteration.
        batches: size of the generator's batch over that of the critic; labels are repeated.
    """

    def __init__(
        self, steps: Annotated[int, Field(ge=1, le=1000)] = 1, batches: Annotated[int, Field(ge=1, le=64)] = 1
    ):
        super().__init__()
        self.steps, self.batches = steps, batches

    def turns(self, gan: Pair, data: Data, real: Batch, z: Tree, step: int) -> Turns:
        # A row's latents lie side by side, so that the rows of a process are a piece of the whole batch.
        y = {name: self.repeated(value) for name, value in gan.asked(real).items()}
        for i in range(step * self.steps, (step + 1) * self.steps):
            on = {"x": self.repeated(real.x), "y": y, "z": self.latents(gan, data, real.x)}
            yield Update("generator", partial(self.loss, gan), on, {"step": i}, gan.couples("generator", i))

    def latents(self, gan: Pair, data: Data, x: Tensor) -> Tree:
        """Of the samples of one step on real samples x."""
        drawn = [gan.latents(data, x) for _ in range(self.batches)]
        return tree.map(lambda *z: torch.stack(z, 1).flatten(0, 1), *drawn)

    def repeated(self, rows: Tensor) -> Tensor:
        return rows.repeat_interleave(self.batches, 0) if self.batches > 1 else rows

    def loss(self, gan: Pair, x: Tensor, y: Condition, z: Tree, step: int = 0) -> Terms:
        turn = Turn(gan, "generator", x, y, z)
        return descend(loss=-gan.objective.reward(turn.fake.score).mean()) | gan.added(turn, step)


class Schedule(Technique, ABC):
    """Sets a declared attribute as a pure function of the iteration."""

    @abstractmethod
    def apply(self, gan: Pair, step: int) -> None: ...
