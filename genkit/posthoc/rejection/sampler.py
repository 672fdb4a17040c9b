"""Samplers over a generator that read a ratio of densities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import partial
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from genkit.core.condition import Condition
from genkit.core.crew import ALONE, Crew
from genkit.core.display import reporting_rows
from genkit.core.evaluating import evaluating
from genkit.core.generator import Generator, Items
from genkit.core.precision import KeepsFloat64
from genkit.core.randomness import Noise, Rows, seeds_of_rows
from genkit.posthoc.rejection.acceptance import check_logits
from genkit.posthoc.rejection.calibration import Reliability, reliability
from genkit.posthoc.rejection.density_ratio import check_of_a_class, check_shape, logits_of
from genkit.posthoc.rejection.kept_proposals import KeptProposals, Proposed

T = TypeVar("T")
SeededBatch = tuple[int, Tensor, list[int]]
"""A batch: its number, its rows and a seed for each."""
BATCH = 250


@dataclass
class Proposals:
    """The cost of sampling so far.

    Attributes:
        made: samples of the generator that were tried; of rejection not those drawn along in a batch behind a kept one.
        kept: samples given out.
        beyond: proposals whose ratio was larger than any of the burn-in.
        seconds: of all.
        never: chains that took nothing and started again.
    """

    made: int = 0
    kept: int = 0
    beyond: int = 0
    seconds: float = 0.0
    never: int = 0

    def summary(self) -> str:
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

    def asked(self, x: Tensor, offered: Condition) -> dict[str, Tensor]:
        """As of every generator; free conditions that nothing offers are left to it."""
        lacking = [name for name, column in self.conditions.items() if column.free and name not in offered]
        free = {name: self.conditions[name].draw(Noise(len(x))).to(x.device) for name in lacking}
        return super().asked(x, {**offered, **free})

    def log_ratio(self, x: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """(B,) float64.

        Raises:
            GenkitError: nan or +inf among them, or a sample of no class for a critic that judges one of a class.
        """
        if "label" in condition and self.conditions["label"].free:
            check_of_a_class(self.ratio, condition["label"])
        return check_logits(logits_of(self.ratio, x, condition))

    def judged(self, x: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """`log_ratio` without a graph, in eval mode, on the CPU."""
        with torch.no_grad(), evaluating(self):
            return self.log_ratio(x, condition).cpu()

    def proposed(self, seeds: Sequence[int], given: Mapping[str, Tensor] | None = None) -> Proposed:
        """Samples of the generator, one of each seed; values of `given`, a row a sample, are not drawn."""
        rows = Rows.of(seeds, self.device)
        condition = {k: v.to(self.device) for k, v in self.conditions.resolve(given, len(rows), rows).items()}
        with torch.no_grad(), evaluating(self):
            return self.generator._sample(condition, rows).float(), condition

    def read_of_proposed(
        self,
        n: int,
        rng: torch.Generator,
        read: Callable[[Tensor, Condition], T],
        what: str,
        *,
        given: Mapping[str, Tensor] | None = None,
        kept: KeptProposals | None = None,
        crew: Crew = ALONE,
    ) -> list[T]:
        """The answers of `read` for n samples of the generator and their conditions, batch by batch.

        The processes of `crew` share the batches, and each has all answers.

        Args:
            what: a word for the progress, which is shown.
            given: conditions, n rows each.
            kept: where batches that were made before are found.
        """
        kept, found = kept or KeptProposals(), dict[int, T]()
        with self._share(torch.arange(n), rng, what, crew) as share:
            for k, rows, seeds in share:
                part = {name: value[rows] for name, value in (given or {}).items()}
                found[k] = read(*kept.batch(self.generator, seeds, part, partial(self.proposed, seeds, part)))
        return crew.gathered(found)

    def compared(
        self,
        items: Items,
        n: int,
        rng: torch.Generator,
        read: Callable[[Tensor, Condition], Tensor],
        crew: Crew = ALONE,
    ) -> tuple[Tensor, Tensor]:
        """The answers of `read`, (n,) each on the CPU, for n rows of `items` and for samples of the same conditions.

        The processes of `crew` share both, batch by batch.
        """
        index = torch.randperm(len(items), generator=rng)[:n]
        kept, found = KeptProposals(), dict[int, tuple[Tensor, Tensor]]()
        with self._share(index, rng, "judging", crew) as share:
            for k, rows, seeds in share:
                x = items.rows(rows).to(self.device)
                asked = self.asked(x, {k: v.to(self.device) for k, v in items.condition(rows).items()})
                proposed = kept.batch(self.generator, seeds, asked, partial(self.proposed, seeds, asked))
                with torch.no_grad(), evaluating(self):
                    found[k] = read(x, asked).cpu(), read(*proposed).cpu()
        real, made = zip(*crew.gathered(found), strict=True)
        return torch.cat(real), torch.cat(made)

    @contextmanager
    def _share(self, index: Tensor, rng: torch.Generator, what: str, crew: Crew) -> Iterator[Iterator[SeededBatch]]:
        """This process' batches of `index`, each told as done when the next is asked for."""
        seeds, mine = seeds_of_rows(len(index), rng), list(crew.my_batches(index, BATCH))
        total = sum(len(rows) for _, rows in mine)
        with reporting_rows(what, self.generator, total, BATCH) as tell:

            def batches() -> Iterator[SeededBatch]:
                done = 0
                for k, rows in mine:
                    yield k, rows, seeds[k * BATCH : (k + 1) * BATCH]
                    done += len(rows)
                    tell(done, total)

            yield batches()

    def reliability(self, items: Items, n: int, rng: torch.Generator, crew: Crew = ALONE) -> Reliability:
        """Of the ratio, on n rows of `items` and n samples of the generator made for the same conditions."""
        real, made = self.compared(items, n, rng, self.log_ratio, crew)
        return reliability(torch.cat([real, made]), torch.arange(len(real) + len(made)) < len(real))

    def spent(self, crew: Crew = ALONE) -> Proposals:
        """The cost of sampling so far, of all processes of `crew`; each of them calls this."""
        return Proposals(*(sum(of) for of in zip(*map(astuple, crew.exchanged(self.proposals)), strict=True)))

    def remarks(self, crew: Crew = ALONE) -> list[str]:
        """The cost of sampling so far, in words."""
        return [self.spent(crew).summary()]
