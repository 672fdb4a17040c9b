"""The sampling contract: a Generator is what you keep, sample, steer and score."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from genkit.core import tree
from genkit.core.columns.labels import columns_each
from genkit.core.condition import Condition, Conditioned
from genkit.core.counts import count
from genkit.core.crew import ALONE, Crew
from genkit.core.display import watched
from genkit.core.errors import ConditionError, GenkitError, kind_of, with_article
from genkit.core.evaluating import evaluating
from genkit.core.graph import Graph, latent_graph
from genkit.core.known import on_host
from genkit.core.pretrained import Pretrained
from genkit.core.randomness import Noise, Randomness, Rows, seeds_of_rows
from genkit.core.tree import Tree

POINTS, COLUMNS, POINTS_AT_ONCE, IMAGES_AT_ONCE = 2000, 16, 500, 16
"""Of a picture: points, the most classes that it shows, and samples of a batch that one of several processes makes."""


class Items(Protocol):
    """Real samples in order, with their conditions: see genkit.data.dataset.DataSet.

    `rows` are floats, `stored` the same rows as they lie in memory or on the disk: images may be uint8.
    """

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    def __len__(self) -> int: ...
    def rows(self, index: Tensor) -> Tensor: ...
    def stored(self, index: Tensor) -> Tensor: ...
    def condition(self, index: Tensor) -> Condition: ...


def within_range(x: Tensor) -> Tensor:
    """Images (n, C, H, W) cut to [-1, 1]; points as they are."""
    return x.clamp(-1, 1) if x.dim() == 4 else x


class Generator(Conditioned, Pretrained, nn.Module, ABC):
    """Something that makes samples.

    Attributes:
        sample_shape: (C, H, W) for images in [-1, 1], (D,) for points.
        conditions: columns of its conditions; empty when unconditional.
        made: names of the conditions that `condition_of` makes of real samples; data need not offer these.
        shows: legend of the rows and columns of its pictures, if they are no samples, a class a column.
        binary: whether its likelihood is of pixels that are -1 or 1.
    """

    sample_shape: tuple[int, ...]
    made: tuple[str, ...] = ()
    shows: ClassVar[str] = ""
    binary: bool = False
    judged_by = "genkit.evaluation.judges:BySamples"

    def sample(
        self,
        n: int,
        *,
        condition: Mapping[str, Any] | None = None,
        rng: torch.Generator | None = None,
        progress: bool = True,
    ) -> Tensor:
        """n samples, (n, *sample_shape) float32, without a graph; images lie in [-1, 1].

        A pure function of weights, condition and rng, always in eval mode; sample i does not depend on the batch that
        it is drawn in.

        Args:
            n: number of samples, at least 1.
            condition: name -> one row per sample (or one for all, or a text: of "0,1,2" in turn), checked against
                `conditions`; missing values are drawn.
            rng: CPU generator; None uses torch's global one.
            progress: whether many steps of one sample, as of a diffusion, are shown, see `genkit.train`.

        Raises:
            ConditionError: naming the wrong key and the accepted ones.
            GenkitError: n below 1.
        """
        n = count("number of samples", n)
        with watched(self, progress):
            return self._of_rows(condition, Rows(n, rng, self.device))

    def _of_rows(self, condition: Mapping[str, Any] | None, rows: Rows) -> Tensor:
        wanted = {k: v.to(self.device) for k, v in self.conditions.resolve(condition, len(rows), rows).items()}
        try:
            with torch.no_grad(), evaluating(self):
                return self._sample(wanted, rows).float()
        except RuntimeError as failure:
            if kinds := {str(p.dtype) for p in self.parameters() if p.is_floating_point()} - {"torch.float32"}:
                raise GenkitError(
                    f"{kind_of(self)} of {', '.join(sorted(kinds))} weights cannot sample, for noise is float32: make "
                    "it float32 again with .float(); torch.autocast computes in less"
                ) from failure
            raise

    def condition_of(self, x: Tensor) -> Condition:
        """The conditions made of real samples x, (B, *sample_shape): the columns in `made`."""
        return {}

    def asked(self, x: Tensor, offered: Condition) -> dict[str, Tensor]:
        """The conditions that samples like real ones x are made for: made of x, or taken from what is offered.

        Raises ConditionError where one is not.
        """
        for name in sorted(self.conditions.keys() - offered.keys() - {*self.made}):
            raise ConditionError(f"{kind_of(self)} is asked for {name}, which the data do not have")
        return {**self.condition_of(x), **{name: offered[name] for name in self.conditions if name not in self.made}}

    def over(self, items: Items) -> Self:
        """This generator, the conditions that it makes being those of the rows of `items`, drawn with replacement.

        Itself where it makes none; else a shallow copy. Labels that are not given are then those of the same rows.
        """
        if not self.made:
            return self

        def examples(randomness: Randomness) -> Condition:
            index = on_host(randomness.integers(len(items)))
            return {**items.condition(index), **self.condition_of(items.rows(index))}

        found = copy.copy(self)
        found.conditions = self.conditions.with_examples(examples, self.made)
        return found

    @property
    def column_classes(self) -> tuple[int, ...]:
        """The class of each column of its picture, few classes in several; none where columns are no classes."""
        classes = 0 if self.made or type(self).pictured is not Generator.pictured else self.conditions.classes
        return tuple(k for k in range(min(classes, COLUMNS)) for _ in range(columns_each(classes)))

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of `column_classes`."""
        return tuple(self.class_names[k] if self.class_names else str(k) for k in self.column_classes)

    def pictured(self, rng: torch.Generator, crew: Crew = ALONE) -> tuple[Tensor, int]:
        """2,000 points, or eight rows of images: a class a column where there are classes."""
        if len(self.sample_shape) != 3:
            return self.shared_sample(POINTS, crew, rng=rng), 0
        columns = self.column_classes
        wide, condition = len(columns) or 8, {"label": torch.tensor(8 * columns)} if columns else None
        return self.shared_sample(8 * wide, crew, condition=condition, rng=rng), wide

    def shared_sample(
        self, n: int, crew: Crew, *, condition: Mapping[str, Any] | None = None, rng: torch.Generator | None = None
    ) -> Tensor:
        """`sample(n)` on the CPU, in batches that the processes of `crew` share: all of them have all, and no bit
        depends on their number."""
        size = POINTS_AT_ONCE if len(self.sample_shape) == 1 else IMAGES_AT_ONCE
        mine = crew.whole_batches(range(n), n, size)
        batches = self.stream(n, size, condition=condition, rng=rng, only=mine)
        return torch.cat(crew.gathered({mine[k * size]: batch.cpu() for k, batch in enumerate(batches)}))

    def remarks(self, crew: Crew = ALONE) -> list[str]:
        """Lines about the samples drawn so far, such as their cost, by all processes of `crew`; each calls this."""
        return []

    @property
    def facts(self) -> list[tuple[str, str]]:
        """(name, value) of what its configuration does not say and its weights hold, in words."""
        return []

    def graph(self) -> Graph:
        """The part that other programs can run: one function of tensors, see `genkit.core.graph`.

        Raises:
            GenkitError: its samples are no such function, with the reason.
        """
        raise GenkitError(
            f"{with_article(self.config['type'])} cannot be exported: its samples are not one pass through a network "
            "but chains, choices or several models; export what it is made of"
        )

    @abstractmethod
    def _sample(self, condition: Mapping[str, Tensor], rows: Rows) -> Tensor:
        """len(rows) samples; `condition` is complete and checked, all noise comes from `rows`."""

    def stream(
        self,
        n: int,
        batch_size: int = 64,
        *,
        condition: Mapping[str, Any] | None = None,
        rng: torch.Generator | None = None,
        only: Sequence[int] | None = None,
    ) -> Iterator[Tensor]:
        """The n samples of `sample(n)`, as batches when they are ready: same rng, same samples at any batch size.

        Args:
            n, condition, rng: as of `sample`.
            batch_size: changes speed alone.
            only: numbers of the samples that are made, in this order; None makes all.

        Raises:
            ConditionError: as `sample`, before the first batch.
            GenkitError: n or batch_size below 1.
        """
        n, batch_size = count("number of samples", n), count("batch size", batch_size)
        wanted = self.conditions.check(condition, n)
        if only is None:
            for start in range(0, n, batch_size):
                part = {k: v[start : start + batch_size] for k, v in wanted.items()}
                yield self.sample(min(batch_size, n - start), condition=part, rng=rng, progress=False)
            return
        seeds = seeds_of_rows(n, rng)
        for start in range(0, len(only), batch_size):
            numbers = list(only[start : start + batch_size])
            part = {k: v[numbers] for k, v in wanted.items()}
            yield self._of_rows(part, Rows.of([seeds[k] for k in numbers], self.device))


@runtime_checkable
class Pictured(Protocol):
    """A product that can be pictured: a run draws it at intervals and at its end."""

    def pictured(self, rng: torch.Generator, crew: Crew = ALONE) -> tuple[Tensor, int]:
        """Images (n, C, H, W) in [-1, 1] and their number of columns, or points (n, D) and 0; the processes of `crew`
        make them together."""
        ...


class LatentGenerator(Generator):
    """A generator that maps a latent z, drawn from a prior, to a sample.

    A latent is a tensor (n, D), or a tree of tensors with n rows each, such as the levels of a hierarchy (see
    `genkit.core.tree`); its tensors are drawn one after the other. A class of its own says `latents`, or `prior` alone,
    which is then drawn for whole batches in training.
    """

    @property
    def standard_normal(self) -> bool:
        """Whether every number of a latent is standard normal, independent of the others."""
        return False

    def latents(self, randomness: Randomness) -> Tree:
        """One latent a row, each drawn from its own row of `randomness`."""
        if type(self).prior is LatentGenerator.prior:
            raise NotImplementedError(f"{type(self).__name__} defines neither latents nor prior")
        return randomness.draw(self.prior)

    def prior(self, n: int, rng: torch.Generator | None = None) -> Tree:
        """n latents on the CPU; None takes torch's global generator."""
        return tree.map(Tensor.cpu, self.latents(Noise(n, rng)))

    @abstractmethod
    def forward(self, z: Any, condition: Mapping[str, Tensor] | None = None) -> Tensor:
        """n latents, as `prior` draws them, -> (n, *sample_shape), with a graph."""

    def _sample(self, condition: Mapping[str, Tensor], rows: Rows) -> Tensor:
        """Images cut to the range: a network without a tanh may leave it, and training sees its images uncut."""
        return within_range(self(self.latents(rows), condition))

    def graph(self) -> Graph:
        return latent_graph(self)


@dataclass(frozen=True)
class Likelihood:
    """log p(x) of some samples, or a bound on it.

    Attributes:
        nats: (B,) float64, natural logarithm of the probability of the 8-bit (or binary) sample.
        bound: kind of the number, e.g. "variational lower bound" or "importance-weighted lower bound, 5000 samples".
        parts: name -> (B,), its parts, in nats.
        spread: name -> (B,), measures of the scatter of an estimate by sampling, such as the effective sample size.
    """

    nats: Tensor
    bound: str
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    spread: Mapping[str, Tensor] = field(default_factory=dict)


@runtime_checkable
class Density(Protocol):
    """A generator with a likelihood."""

    def log_likelihood(
        self, x: Tensor, *, condition: Condition | None = None, rng: torch.Generator | None = None
    ) -> Likelihood:
        """x (B, *sample_shape) in the range of the generator's samples; the same rng gives the same numbers.

        Of rng the seeds of B rows are taken, as `seeds_of_rows` does, so that row i is the same in any batch.
        """
        ...
