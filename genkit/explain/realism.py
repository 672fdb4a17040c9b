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
    """Accepts a step whose coordinate changes the critic's score by no more than `change`, either way.

    As in the authors' notebook: looked at are images whose logit it raises strongly, each with what the classifier says
    of it; of one that was changed, with what it says of that.

    Args:
        y: class whose logit the step raises.
        images: looked at each way, at most, of those whose logit it raises by more than `effect`.
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
        return all(self._harmless(Step(direction, step.s)) for direction in (0, 1))

    @torch.no_grad()
    def _harmless(self, step: Step) -> bool:
        encoded, outside = self.encoded, self.encoded.outside(self.y)
        strong = self.effects.effect[outside, step.direction, step.s, self.y] > self.effect
        index = outside[strong][: self.images]
        if not len(index):
            return True
        moved = self.effects.range.moved(encoded.flat[index], [step], self.shift)
        before = self._scores(encoded.images(index), encoded.seen[index])
        changed, logits = (torch.cat(part) for part in zip(*encoded.pictured(index, moved), strict=True))
        return bool(((self._scores(changed, logits) - before).abs() <= self.change).all())

    def _scores(self, images: Tensor, logits: Tensor) -> Tensor:
        device = self.encoded.device
        return self.critic(images.to(device), {"probabilities": logits.softmax(1).to(device)})
