"""Samplers over a generator that read a ratio of densities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from genkit.core.condition import Condition
from genkit.core.generator import Generator, Items, evaluating
from genkit.core.precision import KeepsFloat64
from genkit.core.randomness import Rows
from genkit.posthoc.rejection.acceptance import check_logits
from genkit.posthoc.rejection.calibration import Reliability, reliability
from genkit.posthoc.rejection.density_ratio import check_shape, logits_of

BATCH = 250


@dataclass
class Proposals:
    """The cost of sampling so far.

    Attributes:
        made: samples of the generator.
        kept: samples given out.
        beyond: proposals whose ratio was larger than any of the burn-in.
        seconds: of all.
    """

    made: int = 0
    kept: int = 0
    beyond: int = 0
    seconds: float = 0.0

    def told(self) -> str:
        if not self.kept:
            return "nothing sampled"
        rate, cost = self.kept / self.made, 1000 * self.seconds / self.kept
        return f"{self.made:,} proposals, {self.kept:,} kept ({100 * rate:.3g} %), {cost:.3g} ms a kept sample"


class RatioSampler(KeepsFloat64, Generator):
    """A generator whose samples are chosen, or moved, by log p_data(x) / p_generator(x).

    Args:
        generator: any.
        ratio: (x, condition) -> log ratios (B,): a `DensityRatio`, or a module of one's own.

    Attributes:
        kind: its name on the command line.
        proposals: the cost of sampling since the generator was made.

    Raises:
        RecipeError: a ratio of samples of another shape.
    """

    kind: ClassVar[str]
    judged_by = "genkit.evaluation.judges:ByRatio"

    def __init__(self, generator: Generator, ratio: nn.Module):
        super().__init__()
        check_shape(ratio, tuple(generator.sample_shape))
        self.generator, self.ratio = generator, ratio
        self.sample_shape, self.conditions = tuple(generator.sample_shape), generator.conditions
        self.made, self.binary = generator.made, generator.binary
        self.proposals = Proposals()

    def condition_of(self, x: Tensor) -> Condition:
        return self.generator.condition_of(x)

    def log_ratio(self, x: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """(B,) float64.

        Raises:
            GenkitError: nan or +inf among them.
        """
        return check_logits(logits_of(self.ratio, x, condition))

    def judged(self, x: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """`log_ratio` without a graph, in eval mode, on the CPU."""
        with torch.no_grad(), evaluating(self):
            return self.log_ratio(x, condition).cpu()

    def proposed(
        self, n: int, rng: torch.Generator, given: Mapping[str, Tensor] | None = None
    ) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """n samples of the generator with their conditions, in batches; those of `given` have n rows."""
        for start in range(0, n, BATCH):
            rows = Rows(min(BATCH, n - start), rng, self.device)
            part = {name: value[start : start + len(rows)] for name, value in (given or {}).items()}
            condition = {k: v.to(self.device) for k, v in self.conditions.resolve(part, len(rows), rows).items()}
            with torch.no_grad(), evaluating(self):
                x = self.generator._sample(condition, rows).float()
            yield x, condition

    def compared(
        self, items: Items, n: int, rng: torch.Generator, read: Callable[[Tensor, Condition], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The answers of `read`, (n,) each on the CPU, for n rows of `items` and for samples of the same conditions."""
        real, made = list[Tensor](), list[Tensor]()
        for rows in torch.randperm(len(items), generator=rng)[:n].split(BATCH):
            x = items.rows(rows).to(self.device)
            asked = self.asked(x, {k: v.to(self.device) for k, v in items.condition(rows).items()})
            for said, samples in ((real, [(x, asked)]), (made, self.proposed(len(rows), rng, asked))):
                for sample in samples:
                    with torch.no_grad(), evaluating(self):
                        said.append(read(*sample).cpu())
        return torch.cat(real), torch.cat(made)

    def reliability(self, items: Items, n: int, rng: torch.Generator) -> Reliability:
        """Of the ratio, on n rows of `items` and n samples of the generator made for the same conditions."""
        real, made = self.compared(items, n, rng, self.log_ratio)
        return reliability(torch.cat([real, made]), torch.arange(len(real) + len(made)) < len(real))

    def remarks(self) -> list[str]:
        """The cost of sampling so far, in words."""
        return [self.proposals.told()]
