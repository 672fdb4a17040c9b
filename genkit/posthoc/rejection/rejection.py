"""A generator whose samples pass discriminator rejection. Azadi et al. 2019, arXiv:1810.06758."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core.catalog import convert
from genkit.core.columns.labels import UNASKED, Labels
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import GenkitError
from genkit.core.generator import Generator
from genkit.core.randomness import Rows, stable_seed
from genkit.posthoc.rejection.acceptance import (
    EPS,
    Shift,
    check_can_finish,
    check_share,
    log_acceptance,
    log_odds,
    passed,
)
from genkit.posthoc.rejection.kept_proposals import KeptProposals
from genkit.posthoc.rejection.sampler import RatioSampler

Eps = Annotated[float, Field(ge=0, lt=1)]
Samples = Annotated[int, Field(ge=2, le=100_000_000)]
BURN_IN, FEWEST_A_CLASS = 10_000, 500
PATIENCE = 100
"""Tries of a sample at most, in units of the number that is expected: e^-100 is the chance to need more."""
RATE = 0.2
MANY_BEYOND = 1e-3
"""Share of the proposals; their ratio is taken to be M, so that they are kept too seldom."""


class Settled(NamedTuple):
    """The result of a burn-in, of each class or each sample."""

    log_m: Tensor
    gamma: Tensor
    rate: Tensor


class Rejection(RatioSampler):
    """Samples of `generator`, each kept with the probability of `genkit.posthoc.rejection.acceptance`.

    log M and gamma are found in a burn-in and then stand still, class by class (of `label`, or of the only condition
    that has classes), so that sample i is a function of the seed and of i: the first of its own proposals that is
    kept. Give one of `rate`, `percentile` and `gamma`; gamma = 0 with the true log M samples the data's density itself.

    Args:
        generator, ratio: see `RatioSampler`.
        rate: share that is kept; 0.2 where nothing is said.
        percentile: of F in the burn-in, which is kept with probability 1/2: the paper's, 80 to 95.
        gamma: itself; 0 is exact, and a larger one keeps fewer and better samples.
        eps: of the paper.
        samples: of a burn-in, at least 500 of each class.

    Attributes:
        burnt: whether there was a burn-in whose result is kept; else the first sample begins with one.
        log_m, gamma, expected_rate: of each class, and last of samples whose class is left to the generator where that
            may be; or of all samples, (1,).

    Raises:
        GenkitError: more than one way to choose gamma, a number out of range, or one at which sampling would not
            finish.
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
        eps: Eps = EPS,
        samples: Samples = BURN_IN,
    ):
        super().__init__(generator, ratio)
        if rate is percentile is gamma is None:
            rate = RATE
        self.shift = Shift(gamma, percentile, rate)
        self.eps, self.samples = convert(Eps, eps, where="eps"), convert(Samples, samples, where="samples")
        groups = self._groups()
        check_can_finish(
            self._each(groups), self.shift, eps, "of each class" if groups > 1 else "of the burn-in", groups
        )
        self.register_buffer("burnt", torch.tensor(False))
        for name in ("log_m", "gamma", "expected_rate"):
            self.register_buffer(name, torch.zeros(groups, dtype=torch.float64))
        self._settled: Settled | None = None

    @property
    def _kinds(self) -> tuple[str, Labels] | None:
        """The condition whose classes have a log M each: `label`, or the only one that has classes; None without."""
        found = {name: column for name, column in self.conditions.items() if isinstance(column, Labels)}
        name = "label" if "label" in found else next(iter(found), "")
        return (name, found[name]) if name == "label" or len(found) == 1 else None

    def _groups(self) -> int:
        """Kinds of samples with a log M of their own: the classes, then those whose class is left to the generator."""
        return self._kinds[1].classes + self._kinds[1].free if self._kinds else 1

    def burn_in(
        self, rng: torch.Generator | None = None, *, kept: KeptProposals | None = None, crew: Crew = ALONE
    ) -> None:
        """Finds log M and gamma in samples of the generator, and keeps them.

        Args:
            kept: where samples that were made before are found.
            crew: processes that share the samples and find the same; each of them calls this.

        Raises:
            GenkitError: too few samples, ratios that decide nothing, or a rate at which sampling would not finish.
        """
        buffers = self.log_m, self.gamma, self.expected_rate
        for buffer, value in zip(buffers, self._found(rng, kept, crew), strict=True):
            buffer.copy_(value)
        self.burnt.fill_(True)

    def settled(self) -> Settled:
        """log M, gamma and the expected rate of each class, on the CPU: those that are kept, else of a burn-in now."""
        if self.burnt:
            return Settled(self.log_m.cpu(), self.gamma.cpu(), self.expected_rate.cpu())
        if self._settled is None:
            self._settled = self._found(None)
        return self._settled

    def _found(self, rng: torch.Generator | None, kept: KeptProposals | None = None, crew: Crew = ALONE) -> Settled:
        rng = rng or torch.Generator().manual_seed(stable_seed("burn-in"))
        groups, found = len(self.log_m), []
        each = self._each(groups)
        for group in range(groups):
            given = None
            if self._kinds:
                name, column = self._kinds
                given = {name: torch.full((each,), UNASKED if group == column.classes else group)}
            what = f"burn-in {group + 1} of {groups}" if groups > 1 else "burn-in"
            logits = self.read_of_proposed(each, rng, self.judged, what, given=given, kept=kept, crew=crew)
            found.append(self._of_group(torch.cat(logits)))
        return Settled(*torch.tensor(found, dtype=torch.float64).unbind(1))

    def _each(self, groups: int) -> int:
        """Samples of a burn-in, of each class."""
        return max(-(-self.samples // groups), FEWEST_A_CLASS if groups > 1 else 1)

    def _of_group(self, logits: Tensor) -> tuple[float, float, float]:
        """log M, gamma and the rate, found in log ratios (n,)."""
        log_m = logits.max().item()
        if log_m == -math.inf:
            raise GenkitError("no sample of the burn-in could be real, by its ratio; train the critic longer")
        odds = log_odds(logits, log_m, self.eps)
        gamma = self.shift.found(odds)
        rate = log_acceptance(odds, gamma).exp().mean().item()
        check_share(rate, len(logits), f"log M {log_m:.1f}")
        return log_m, gamma, rate

    def _sample(self, condition: Mapping[str, Tensor], rows: Rows) -> Tensor:
        settled = self.settled()
        started, n = time.monotonic(), len(rows)
        group = condition[self._kinds[0]].cpu() if self._kinds else torch.zeros(n, dtype=torch.int64)
        group = group % len(self.log_m)  # UNASKED is the last
        own = Settled(*(values[group] for values in settled))
        expected = 1 / own.rate
        limit = (PATIENCE * expected).ceil().long()
        tries, pending = torch.zeros(n, dtype=torch.int64), torch.arange(n)
        found = torch.empty(n, *self.sample_shape, device=self.device)
        while len(pending):
            ahead = int(min(n // len(pending), max(1.0, expected[pending].mean().item())))
            which = pending.repeat_interleave(ahead)
            number = (tries[pending, None] + torch.arange(ahead)).flatten()
            x, kept, beyond = self._decided(condition, rows.apart(which, number), which, own)
            by_row = kept.view(-1, ahead)
            done, first = by_row.any(1), by_row.long().argmax(1)
            tried = torch.where(done, first + 1, ahead)
            self.proposals.made += int(tried.sum())
            if beyond.any():
                counted = torch.arange(ahead) < tried[:, None]
                self.proposals.beyond += int((counted & beyond.view(-1, ahead)).sum())
            chosen = (first + torch.arange(0, len(which), ahead))[done]
            found[pending[done].to(found.device)] = x[chosen.to(x.device)]
            tries[pending] += ahead
            pending = pending[~done]
            self._check_patience(tries[pending], limit[pending])
        self.proposals.kept += n
        self.proposals.seconds += time.monotonic() - started
        return found

    def _check_patience(self, tries: Tensor, limit: Tensor) -> None:
        if (tries > limit).any():
            raise GenkitError(
                f"none of {int(tries.max()):,} proposals for a sample was kept, a hundred times as many as expected: "
                "what it was asked for is judged far less real than what the burn-in drew, or the generator or its "
                "ratio has changed since; ask for less, or burn in again"
            )

    def _decided(
        self, condition: Mapping[str, Tensor], rows: Rows, which: Tensor, settled: Settled
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Proposals, and on the CPU whether each is kept, and whether its ratio is beyond M."""
        y = {name: value[which.to(value.device)] for name, value in condition.items()}
        x = self.generator._sample(y, rows).float()
        logits, log_m = self.log_ratio(x, y).cpu(), settled.log_m[which]
        odds = log_odds(torch.minimum(logits, log_m), log_m, self.eps)
        return x, passed(rows.chances, log_acceptance(odds, settled.gamma[which])), logits > log_m

    @property
    def facts(self) -> list[tuple[str, str]]:
        if not self.burnt:
            return [("kept", f"burns in with the first samples, for {self.shift}")]
        of = {"kept": 100 * self.expected_rate, "log M": self.log_m, "gamma": self.gamma}
        ends = {name: (f"{values.min().item():.3g}", f"{values.max().item():.3g}") for name, values in of.items()}
        told = {name: low if low == high else f"{low} to {high}, by class" for name, (low, high) in ends.items()}
        return [*(told | {"kept": f"{told['kept']} % of the proposals"}).items()]

    def remarks(self, crew: Crew = ALONE) -> list[str]:
        spent = self.spent(crew)
        lines = [f"{spent.summary()}, log M {self.settled().log_m.max().item():.3g}"]
        beyond = spent.beyond / max(1, spent.made)
        if beyond > MANY_BEYOND:
            lines.append(f"{100 * beyond:.2g} % of the proposals had a ratio beyond M; burn in with more samples")
        return lines
