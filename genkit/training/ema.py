"""The averaged copy of the product of training, which is sampled, scored and saved."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genkit.core.frozen import is_frozen, learnable


@dataclass(frozen=True)
class HalfLife:
    """A decay 0.5^(batch / images), as Karras et al. 2020b (arXiv:2006.06676) have it.

    Attributes:
        images: after these the weight of all before is halved.
        batch: images of an update.
        ramp: `images` is at most this share of the images seen so far; None has no such limit.
    """

    images: float
    batch: int
    ramp: float | None = None

    def __call__(self, step: int) -> float:
        """The decay of update number `step`, from 0."""
        seen = self.images if self.ramp is None else self.ramp * step * self.batch
        images = min(self.images, seen)
        return float(0.5 ** (self.batch / images)) if images else 0.0


class EMA:
    """Exponential moving average: parameters are averaged, buffers copied.

    The decay of update t is min(decay, (1 + t) / (10 + t)), so that short runs are not averaged with their first,
    random weights; a function gives it as it is. A decay of 0 keeps a plain copy. Frozen parts are not averaged: both
    hold the same ones.
    """

    def __init__(self, module: nn.Module, decay: float | Callable[[int], float]):
        self.decay = decay
        shared = {id(part): part for part in module.modules() if is_frozen(part)}
        self.module = copy.deepcopy(module, shared).eval().requires_grad_(False)
        self._mine, self._theirs = list[Tensor](learnable(self.module)), list[Tensor](learnable(module))
        pairs = zip(self.module.modules(), module.modules(), strict=True)
        self._holders = [(a, b, [*b._buffers]) for a, b in pairs if b._buffers and a is not b]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes in the module as it is after iteration `step` (from 0)."""
        ramped = (1 + step) / (10 + step)
        decay = self.decay(step) if callable(self.decay) else min(self.decay, ramped)
        if self._mine:  # else a product that does not learn, beside another that does
            torch._foreach_lerp_(self._mine, self._theirs, 1 - decay)
        for mine, theirs, names in self._holders:
            for name in names:
                if (buffer := getattr(mine, name)) is not None:
                    buffer.copy_(getattr(theirs, name))
