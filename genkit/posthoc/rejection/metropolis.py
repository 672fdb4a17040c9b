"""The independence sampler of MH-GAN. Turner et al. 2019, arXiv:1811.11357, Algorithm 1, in logarithms.

A chain holds a sample with logit l. Each new sample of the generator, l', takes its place with probability

    alpha = min(1, (1 / D(x) - 1) / (1 / D(x') - 1)) = min(1, exp(l' - l)).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genkit.posthoc.rejection.acceptance import check_logits

REAL = -1
"""Place in a chain of the real sample that it starts at, which is never given out."""


def log_alpha(new: Tensor, held: Tensor) -> Tensor:
    """log alpha, (C,) float64; a chain that holds what cannot be real takes anything."""
    step = (new.double() - held.double()).clamp(max=0)
    return torch.where(held == -torch.inf, 0.0, step)


@dataclass
class Chains:
    """C chains, each at the logit of what it holds.

    Attributes:
        held: (C,) float64.
        at: place of what it holds among the samples that it saw, (C,); REAL at first.
    """

    held: Tensor
    at: Tensor
    seen: int = 0

    @classmethod
    def of(cls, held: Tensor, at: int = REAL) -> Chains:
        check_logits(held)
        return cls(held.double(), torch.full_like(held, at, dtype=torch.int64))

    def offer(self, new: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
        """Offers each chain one sample; which of them took it, (C,) bool, and log alpha.

        Raises:
            GenkitError: logits that are nan or +inf.
        """
        log_a = log_alpha(check_logits(new), self.held)
        taken = uniforms.double().log() <= log_a
        self.held = torch.where(taken, new.double(), self.held)
        self.at = torch.where(taken, self.seen, self.at)
        self.seen += 1
        return taken, log_a


@dataclass(frozen=True)
class Paths:
    """Whole chains.

    Attributes:
        alpha: (C, K).
        path: place of the sample that is held after each step, (C, K).
        selected: place of what each chain holds at its end, (C,); REAL where it took nothing.
        given: the same, where the chains that took nothing have started again from their first sample.
    """

    alpha: Tensor
    path: Tensor
    selected: Tensor
    given: Tensor


def metropolis(logits: Tensor, start: Tensor, uniforms: Tensor) -> Paths:
    """Chains over given samples.

    Args:
        logits, uniforms: of K samples for each of C chains, (C, K).
        start: logits of real samples, (C,).

    Raises:
        GenkitError: logits that are nan or +inf.
    """
    chains, again = Chains.of(start), Chains.of(logits[:, 0], 0)
    again.seen = 1
    alphas, path = [], []
    for k in range(logits.shape[1]):
        _, log_a = chains.offer(logits[:, k], uniforms[:, k])
        alphas.append(log_a.exp())
        path.append(chains.at)
        if k:
            again.offer(logits[:, k], uniforms[:, k])
    given = torch.where(chains.at == REAL, again.at, chains.at)
    return Paths(torch.stack(alphas, 1), torch.stack(path, 1), chains.at, given)
