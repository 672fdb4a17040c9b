"""A filter of coordinates: those that a critic sees as damage to the image are no attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from genkit.explain.effects import Effects
from genkit.explain.encoded import Encoded, Step

CriticScore = Callable[[Tensor, Mapping[str, Tensor]], Tensor]
"""(images (B, C, H, W), {"probabilities": (B, K)}) -> (B,), as of a StyleEx's critic."""


@dataclass(frozen=True)
class Realism:
    """Accepts a step that changes the critic's score by no more than `change` on images that it moves strongly.

    Args:
        y: class whose logit the step raises.
        images: looked at, at most, of those whose logit it raises by more than `effect`.
        shift: of the look; twice that of the search, as in the authors' notebook.
    """

    critic: CriticScore
    encoded: Encoded
    effects: Effects
    y: int
    change: float = 0.2
    images: int = 10
    effect: float = 0.2
    shift: float = 2.0

    def __call__(self, step: Step) -> bool:
        outside = self.encoded.outside(self.y)
        strong = self.effects.effect[outside, step.direction, step.s, self.y] > self.effect
        index = outside[strong][: self.images]
        if not len(index):
            return True
        moved = self.effects.range.moved(self.encoded.flat[index], [step], self.shift)
        before, after = self._scores(index, None), self._scores(index, moved)
        return bool(((after - before).abs() <= self.change).all())

    @torch.no_grad()
    def _scores(self, index: Tensor, flat: Tensor | None) -> Tensor:
        seen, device = self.encoded.seen[index].softmax(1), self.encoded.device
        return self.critic(self.encoded.images(index, flat).to(device), {"probabilities": seen.to(device)})
