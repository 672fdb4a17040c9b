"""AttFind's selection: the few coordinates that move the classifier on most images. Lang et al. 2021, sec. 3.2.

A selection sees effects (n, 2, S) on the logit of one class, of images that are not of it. `accept` may refuse a
coordinate (see genkit.explain.realism); it is asked of those alone that would be taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from genkit.explain.encoded import Step

NOTHING = 1e-5
"""Mean effect in logits that may be rounding alone: rows of a batch are not computed as those of another are."""

Accept = Callable[[Step], bool]


def anything(step: Step) -> bool:
    """Accepts every coordinate."""
    return True


class Selection(Protocol):
    """The steps of at most `most` coordinates, the strongest first."""

    def __call__(self, effect: Tensor, most: int, accept: Accept = anything) -> list[Step]: ...


@dataclass(frozen=True)
class PaperSelection:
    """Algorithm 1 of the paper: again and again the step with the largest mean effect on images that none explains yet.

    A coordinate that raises the logit both ways, on average over these, is not taken; neither is one that was, either
    way. An image is explained by a step that raises its logit by more than `threshold`. It ends when all images are
    explained, or when nothing raises the logit.
    """

    threshold: float = 1.0

    def __call__(self, effect: Tensor, most: int, accept: Accept = anything) -> list[Step]:
        left, taken, steps = effect.double(), list[int](), list[Step]()
        while len(left) and len(steps) < most:
            mean = left.mean(0)
            mean[:, (mean > 0).all(0)] = 0
            mean[:, taken] = 0
            step, best = _largest(mean)
            if best <= NOTHING:
                break
            taken.append(step.s)
            if accept(step):
                steps.append(step)
                left = left[left[:, step.direction, step.s] <= self.threshold]
        return steps


@dataclass(frozen=True)
class NotebookSelection:
    """As the authors' notebook does it: an image is explained when positive effects of the steps add up to `reach`.

    It ends when all images are explained; the notebook goes on with coordinate 0, the arg-max of a mean of none.
    """

    reach: float = 1.0

    def __call__(self, effect: Tensor, most: int, accept: Accept = anything) -> list[Step]:
        raised, sums, steps = effect.double().clamp_min(0), effect.new_zeros(len(effect)).double(), list[Step]()
        while len(steps) < most and (sums < self.reach).any():
            step, best = _largest(raised[sums < self.reach].mean(0))
            if best <= NOTHING:
                break
            if accept(step):
                steps.append(step)
                sums = sums + raised[:, step.direction, step.s]
            raised[:, step.direction, step.s] = 0
        return steps


@dataclass(frozen=True)
class ShareSelection:
    """By the number of images on which a step raises the logit by more than `effect`: at least `least` of them.

    As in the authors' notebook, no more than the first 2 `most` are asked for.
    """

    effect: float = 0.2
    least: float = 0.03

    def __call__(self, effect: Tensor, most: int, accept: Accept = anything) -> list[Step]:
        counts, steps = self.counts(effect), list[Step]()
        for k in counts.flatten().argsort(descending=True, stable=True)[: 2 * most].tolist():
            step = Step(*divmod(k, effect.shape[2]))
            if len(steps) == most or counts[step.direction, step.s] < max(self.least * len(effect), 1):
                break
            if accept(step):
                steps.append(step)
        return steps

    def counts(self, effect: Tensor) -> Tensor:
        """(2, S): images that each step raises by more than `effect`."""
        return (effect > self.effect).sum(0)


def _largest(mean: Tensor) -> tuple[Step, float]:
    """The step of the largest of (2, S), and its value."""
    k = int(mean.argmax())
    return Step(*divmod(k, mean.shape[1])), mean.flatten()[k].item()


def merged(effect: Tensor, first: Sequence[Step], second: Sequence[Step]) -> list[Step]:
    """One list for two classes, as steps towards class 0, the strongest first, as in the authors' notebook.

    Args:
        effect: (N, 2, S, 2) on all images.
        first, second: selected for classes 0 and 1; of the latter those of other coordinates join, the other way.
    """
    known = {step.s for step in first}
    joined = [*first, *(opposite(step) for step in second if step.s not in known)]
    mean = effect.double().mean(0)

    def score(step: Step) -> float:
        return (mean[step.direction, step.s, 0] + mean[1 - step.direction, step.s, 1]).item()

    return sorted(joined, key=score, reverse=True)


def opposite(step: Step) -> Step:
    """The same coordinate the other way."""
    return Step(1 - step.direction, step.s)


def unstable(effect: Tensor, threshold: float = 2.0, most: int = 750) -> Tensor:
    """True, (N,), for images on which more than `most` effects, of (N, 2, S, K), exceed `threshold` either way.

    Such images move with whatever is changed: the authors leave them out.
    """
    found: Tensor = (effect.abs() > threshold).flatten(1).sum(1) > most
    return found


def without(effect: Tensor, images: Tensor) -> Tensor:
    """Effects that are zero on the images where `images` (N,) is true."""
    return torch.where(images[:, None, None, None], torch.zeros_like(effect), effect)
