"""A term in an optimiser step of its own, as the lazy regularisation of StyleGAN2's code."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from genkit.core.condition import Condition
from genkit.core.errors import RecipeError
from genkit.core.system import Data, Terms, Turns, Update, descend
from genkit.core.tree import Tree
from genkit.gan.slots import Pair, Term, Turn


class OwnStep(Term):
    """`term`, N times as large, in a step of its own after steps 0, N, 2N, ... of its player, N the term's `every`.

    A term of the critic sees the batch of the step before it. One of the generator comes at the end of iterations 0, N,
    2N, ..., on samples of its own. As there are (N + 1) / N steps now, Karras et al. 2020 (arXiv:1912.04958, App. B)
    scale Adam's settings: with c = N / (N + 1), lr * c and betas (b1^c, b2^c). The moments of parameters that the term
    does not reach, such as a last bias, go on by a gradient of zero, as in their code and in rosinality's.

    Args:
        term: a penalty that is part of a player's loss.

    Raises:
        RecipeError: the term takes turns of its own already.
    """

    name = "own_step"
    of = None

    def __init__(self, term: Term):
        if term.of is None:
            raise RecipeError(f"own_step.term: {term.name} takes turns of its own already; give it alone")
        super().__init__(term.every)
        self.term, self.player = term, term.of

    def check(self, gan: Pair) -> None:
        self.term.check(gan)

    def after_critic(self, gan: Pair, on: Mapping[str, Any], step: int) -> Turns:
        if self.player == "critic" and step % self.every == 0:
            yield Update("critic", partial(self.loss, gan), on, coupled=self.term.coupled)

    def turns(self, gan: Pair, data: Data, step: int) -> Turns:
        if self.player == "generator" and step % self.every == 0:
            batch = next(data)
            on = {"x": batch.x, "y": gan.asked(batch), "z": gan.latents(data, batch.x)}
            yield Update("generator", partial(self.loss, gan), on, coupled=self.term.coupled)

    def loss(self, gan: Pair, x: Tensor, y: Condition, z: Tree, u: Tensor | None = None) -> Terms:
        term = self.every * self.term(Turn(gan, self.player, x, y, z, u))
        player = gan.critic if self.player == "critic" else gan.generator
        everything = sum(p.flatten()[:1].sum() for p in player.parameters() if p.requires_grad)
        return descend(**{self.term.name: term + 0 * everything})
