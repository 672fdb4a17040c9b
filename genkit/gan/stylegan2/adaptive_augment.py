"""Augmentation whose strength follows the critic. Karras et al. 2020b, arXiv:2006.06676."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, get_args

import torch
from pydantic import Field
from torch import Tensor

from genkit.core.errors import RecipeError
from genkit.core.precision import full_precision
from genkit.core.processes import whole_batch
from genkit.core.system import Report, Terms, observe
from genkit.gan.slots import Pair, View, check_chosen
from genkit.gan.stylegan2.augmentations import blits, colours, recoloured, warped, warps

Kind = Literal["blit", "geom", "color"]


class AdaptiveAugment(View):
    """Random changes of all that the critic sees, each with probability p; p moves so that r_t stays at `target`.

    r_t = E[sign(score of a real image)] is 1 where the critic knows every training image by heart. Every `every` steps
    of the critic p moves by (images seen since) / `images`, up where r_t is above `target`, else down. p is saved.

    Args:
        kinds: "blit" (mirror images, quarter turns, whole pixels), "geom" (scale, turn, stretch, move), "color".
        target: of r_t.
        images: that p takes from 0 to 1.
        every: critic steps from one move to the next.
        p: at the start.

    Raises:
        RecipeError: an unknown or repeated kind.
    """

    p: Tensor
    signs: Tensor

    def __init__(
        self,
        kinds: Sequence[Kind] = ("blit", "geom", "color"),
        target: Annotated[float, Field(ge=-1, le=1)] = 0.6,
        images: Annotated[int, Field(ge=1)] = 500_000,
        every: Annotated[int, Field(ge=1, le=1_000_000)] = 4,
        p: Annotated[float, Field(ge=0, le=1)] = 0.0,
    ):
        super().__init__()
        check_chosen("kinds", kinds, get_args(Kind))
        self.kinds, self.target, self.images, self.every = tuple(kinds), target, images, every
        self.register_buffer("p", torch.tensor(p))
        self.register_buffer("signs", torch.zeros(3))
        """Since the last move of p: sum of the signs, their number, critic steps."""

    def check(self, gan: Pair) -> None:
        shape = tuple(gan.generator.sample_shape)
        if len(shape) != 3 or shape[1] != shape[2] or shape[0] not in (1, 3) or shape[1] < 8:
            raise RecipeError(
                f"view: adaptive_augment changes square images of 1 or 3 channels and 8 pixels at least, and the "
                f"generator makes {list(shape)}; leave it out"
            )

    def forward(self, x: Tensor) -> Tensor:
        with full_precision(x):
            return self._changed(x)

    def _changed(self, x: Tensor) -> Tensor:
        moves = [make(x, self.p) for kind, make in (("blit", blits), ("geom", warps)) if kind in self.kinds]
        if moves:
            x = warped(x, moves[0] @ moves[1] if len(moves) == 2 else moves[0])
        return recoloured(x, colours(x, self.p)) if "color" in self.kinds else x

    def observe(self, score: Tensor) -> Terms:
        return observe(real_sign=score.sign(), augment_p=self.p)

    @torch.no_grad()
    def adapt(self, report: Report) -> None:
        signs = whole_batch(report["real_sign"])
        self.signs += torch.stack([signs.sum(), signs.new_tensor(len(signs)), signs.new_ones(())])
        total, count, steps = self.signs
        due = steps >= self.every
        moved = (self.p + (total / count - self.target).sign() * count / self.images).clamp(min=0)
        self.p.copy_(torch.where(due, moved, self.p))
        self.signs.mul_(~due)
