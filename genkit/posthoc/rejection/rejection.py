"""A generator whose samples pass discriminator rejection. Azadi et al. 2019, arXiv:1810.06758."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core.errors import GenkitError
from genkit.core.generator import Generator
from genkit.core.randomness import Rows, stable_seed
from genkit.posthoc.rejection.acceptance import EPS, Shift, check_enough, log_acceptance, log_odds
from genkit.posthoc.rejection.sampler import RatioSampler

BURN_IN, FEWEST_A_CLASS = 10_000, 500
LEAST_RATE = 1e-4
PATIENCE = 100
"""Tries of a sample at most, in units of the number that is expected: e^-100 is the chance to need more."""
RATE = 0.2
MANY_BEYOND = 1e-3
"""Share of the proposals; their ratio is taken to be M, so that they are kept too seldom."""


class Rejection(RatioSampler):
    """Samples of `generator`, each kept with the probability of `genkit.posthoc.rejection.acceptance`.

    log M and gamma are found in a burn-in and then stand still, class by class, so that sample i is a function of the
    seed and of i: the first of its own proposals that is kept. Give one of `rate`, `percentile` and `gamma`; gamma = 0
    with the true log M samples the data's density itself.

    Args:
        generator, ratio: see `RatioSampler`.
        rate: share that is kept; 0.2 where nothing is said.
        percentile: of F in the burn-in, which is kept with probability 1/2: the paper's, 80 to 95.
        gamma: as it is.
        eps: of the paper.

    Attributes:
        burnt: whether there was a burn-in; else the first sample begins with one of 10,000 samples.
        log_m, gamma, expected_rate: of each class, or of all samples, (classes or 1,).

    Raises:
        GenkitError: more than one way to choose gamma, or a number out of range.
    """

    kind = "rejection"
    burnt: Tensor
    log_m: Tensor
    gamma: Tensor
    expected_rate: Tensor

    def __init__(
        self,
        generator: Generator,
        ratio: nn.Module,
        rate: Annotated[float, Field(gt=0, lt=1)] | None = None,
        percentile: Annotated[float, Field(ge=0, le=100)] | None = None,
        gamma: float | None = None,
        eps: Annotated[float, Field(ge=0, lt=1)] = EPS,
    ):
        super().__init__(generator, ratio)
        if rate is percentile is gamma is None:
            rate = RATE
        self.shift, self.eps = Shift(gamma, percentile, rate), eps
        groups = self.conditions.classes or 1
        self.register_buffer("burnt", torch.tensor(False))
        for name in ("log_m", "gamma", "expected_rate"):
            self.register_buffer(name, torch.zeros(groups, dtype=torch.float64))

    def burn_in(self, n: int = BURN_IN, rng: torch.Generator | None = None) -> None:
        """Finds log M and gamma in n samples of the generator, at least 500 of each class.

        Raises:
            GenkitError: too few samples, ratios that decide nothing, or a rate at which sampling would not finish.
        """
        rng = rng or torch.Generator().manual_seed(stable_seed("burn-in"))
        groups = len(self.log_m)
        each = max(-(-n // groups), FEWEST_A_CLASS if groups > 1 else 1)
        check_enough(each, self.shift, "of each class" if groups > 1 else "of the burn-in")
        for group in range(groups):
            label = {"label": torch.full((each,), group)} if groups > 1 else None
            logits = [self.log_ratio(x, y).cpu() for x, y in self.proposed(each, rng, label)]
            self._settle(group, torch.cat(logits))
        self.burnt.fill_(True)

    def _settle(self, group: int, logits: Tensor) -> None:
        log_m = logits.max()
        if log_m == -torch.inf:
            raise GenkitError("no sample of the burn-in could be real, by its ratio; train the critic longer")
        odds = log_odds(logits, log_m, self.eps)
        gamma = self.shift.found(odds)
        rate = log_acceptance(odds, gamma).exp().mean().item()
        if rate < LEAST_RATE:
            raise GenkitError(
                f"a share of {rate:.2g} of the samples would be kept (log M {log_m.item():.1f}), which would not "
                "finish; choose a rate, such as 0.1, or a percentile"
            )
        for buffer, value in ((self.log_m, log_m), (self.gamma, gamma), (self.expected_rate, rate)):
            buffer[group] = value

    def _sample(self, condition: Mapping[str, Tensor], rows: Rows) -> Tensor:
        if not self.burnt:
            self.burn_in()
        started, n = time.monotonic(), len(rows)
        group = condition["label"].cpu() if len(self.log_m) > 1 else torch.zeros(n, dtype=torch.int64)
        rate = self.expected_rate.cpu()[group]
        limit = (PATIENCE / rate).ceil().long()
        tries, pending = torch.zeros(n, dtype=torch.int64), torch.arange(n)
        found = torch.empty(n, *self.sample_shape, device=self.device)
        while len(pending):
            ahead = int(min(n // len(pending), max(1.0, (1 / rate[pending]).mean().item())))
            which = pending.repeat_interleave(ahead)
            number = tries[which] + torch.arange(ahead).repeat(len(pending))
            x, kept = self._decided(condition, rows.apart(which, number), which, group[which])
            first = kept.view(-1, ahead).long().argmax(1)
            any_kept = kept.view(-1, ahead).any(1)
            chosen = (torch.arange(len(pending)) * ahead + first)[any_kept]
            found[pending[any_kept].to(found.device)] = x[chosen.to(x.device)]
            tries[pending] += ahead
            pending = pending[~any_kept]
            if (tries[pending] > limit[pending]).any():
                raise GenkitError(
                    f"none of {int(tries[pending].max()):,} proposals for a sample was kept, where "
                    f"{1 / rate[pending].min().item():,.0f} are expected; the generator or its ratio has changed since "
                    "the burn-in: burn in again"
                )
        self.proposals.kept += n
        self.proposals.seconds += time.monotonic() - started
        return found

    def _decided(
        self, condition: Mapping[str, Tensor], rows: Rows, which: Tensor, group: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Proposals, and whether each is kept, on the CPU."""
        y = {name: value[which.to(value.device)] for name, value in condition.items()}
        x = self.generator._sample(y, rows).float()
        logits, log_m = self.log_ratio(x, y).cpu(), self.log_m.cpu()[group]
        self.proposals.beyond += int((logits > log_m).sum())
        self.proposals.made += len(which)
        odds = log_odds(torch.minimum(logits, log_m), log_m, self.eps)
        log_u = rows.uniform(dtype=torch.float64).cpu().log()
        return x, log_u <= log_acceptance(odds, self.gamma.cpu()[group])

    def remarks(self) -> list[str]:
        lines = [f"{self.proposals.told()}, log M {self.log_m.max().item():.3g}"]
        beyond = self.proposals.beyond / max(1, self.proposals.made)
        if beyond > MANY_BEYOND:
            lines.append(f"{100 * beyond:.2g} % of the proposals had a ratio beyond M; burn in with more samples")
        return lines
