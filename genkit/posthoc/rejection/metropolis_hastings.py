"""A generator whose samples are the ends of chains over its own samples. Turner et al. 2019, arXiv:1811.11357.

Algorithm 1, in logarithms. A chain holds a sample with logit l. Each new sample of the generator, l', takes its place
with probability alpha = min(1, (1 / D(x) - 1) / (1 / D(x') - 1)) = min(1, exp(l' - l)).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core import tree
from genkit.core.catalog import convert
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import GenkitError
from genkit.core.generator import Generator
from genkit.core.randomness import Rows
from genkit.posthoc.rejection.acceptance import check_logits
from genkit.posthoc.rejection.sampler import RatioSampler

Length = Annotated[int, Field(ge=1, le=1_000_000)]
STARTS = 1000
REAL = -1
"""Place in a chain of the real sample that it starts at, which is never given out."""


class MetropolisHastings(RatioSampler):
    """Each sample is what a chain of its own holds after `length` samples of `generator`.

    Its cost is fixed, and neither a largest ratio nor a threshold is needed. A chain starts at the ratio of a real
    sample, which is never given out; one that takes nothing starts again from its first sample.

    Args:
        generator, ratio: see `RatioSampler`.
        length: K of the paper, 640 there.

    Attributes:
        starts: log ratios of real samples, (starts,), see `start_from`; without, chains start at their first sample.
    """

    kind = "mh"
    starts: Tensor

    def __init__(
        self,
        generator: Generator,
        ratio: nn.Module,
        length: Length = 100,
        starts: Annotated[int, Field(ge=0)] = 0,
    ):
        super().__init__(generator, ratio)
        self.length = convert(Length, length, where="length")
        self.register_buffer("starts", torch.zeros(starts, dtype=torch.float64))

    def start_from(self, logits: Tensor) -> None:
        """Log ratios of real samples that nothing was fitted to, (n,); 1,000 of them are kept."""
        self.starts = logits.detach().cpu().double()[:STARTS].to(self.starts.device)
        self.config["starts"] = len(self.starts)

    def _sample(self, condition: Mapping[str, Tensor], rows: Rows) -> Tensor:
        started, n = time.monotonic(), len(rows)
        held = again = torch.empty(0)
        chains = second = Chains(torch.empty(0), torch.empty(0))
        every = torch.arange(n)
        for k in range(self.length):
            own = rows.apart(every, torch.full((n,), k))
            x = self.generator._sample(condition, own).float()
            logits, u = self.log_ratio(x, condition).cpu(), own.uniform(dtype=torch.float64).cpu()
            if k == 0:
                held, again, second = x.clone(), x.clone(), Chains.of(logits, 0)
                chains = Chains.of(self._started(own, logits))
            taken, _ = chains.offer(logits, u)
            held = tree.where(taken.to(x.device), x, held)
            if k:
                again = tree.where(second.offer(logits, u)[0].to(x.device), x, again)
        nothing = chains.at == REAL
        self.proposals.never += int(nothing.sum())
        self.proposals.made += n * self.length
        self.proposals.kept += n
        self.proposals.seconds += time.monotonic() - started
        return tree.where(nothing.to(held.device), again, held)

    def _started(self, rows: Rows, logits: Tensor) -> Tensor:
        if not len(self.starts):
            return torch.full_like(logits, -torch.inf)
        return self.starts.cpu()[rows.integers(len(self.starts)).cpu()]

    def remarks(self, crew: Crew = ALONE) -> list[str]:
        spent = self.spent(crew)
        share = spent.never / max(1, spent.kept)
        return [f"{spent.summary()}; {100 * share:.3g} % of the chains took nothing and started again"]


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
        GenkitError: logits that are nan or +inf, or other shapes.
    """
    if logits.dim() != 2 or not logits.numel() or logits.shape != uniforms.shape or start.shape != logits.shape[:1]:
        shapes = ", ".join(str(list(of.shape)) for of in (logits, uniforms, start))
        raise GenkitError(f"logits and uniforms are (C, K), and those of real samples (C,), got {shapes}")
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
