"""A plain generator step on the very fakes that the critic was shown last."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field
from torch import Tensor

from genkit.core.condition import Condition
from genkit.core.system import Batch, Data, Terms, Turns, Update, descend
from genkit.core.tree import Tree
from genkit.gan.slots import Pair, Rule, Turn
from genkit.layers.norm import untracked


class ReusedAscent(Rule):
    """Ascent of the reward of the last critic step's fakes, as in code that keeps their graph.

    The robust-OT authors' order (Balaji et al. 2020, arXiv:2010.05862) is `every: 5` with one critic step an iteration:
    the generator moves in iterations 0, 5, 10.

    Args:
        every: iterations from one generator step to the next; the first iteration has one.
    """

    former_buffers = ("iterations",)

    def __init__(self, every: Annotated[int, Field(ge=1, le=1000)] = 1):
        super().__init__()
        self.every = every

    def turns(self, gan: Pair, data: Data, real: Batch, z: Tree, step: int) -> Turns:
        i, late = divmod(step, self.every)
        if late:
            return
        on = {"x": real.x, "y": gan.asked(real), "z": z}
        yield Update("generator", partial(self.loss, gan), on, {"step": i}, gan.couples("generator", i))

    def loss(self, gan: Pair, x: Tensor, y: Condition, z: Tree, step: int = 0) -> Terms:
        turn = Turn(gan, "generator", x, y, z)
        # The fakes were made once already, and the running statistics of a batch norm have seen them.
        with untracked(gan.generator):
            score = turn.fake.score
        return descend(loss=-gan.objective.reward(score).mean()) | gan.added(turn, step)
