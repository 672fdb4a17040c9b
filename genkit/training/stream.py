"""Data and noise of training as a pure function of (seed, position): resuming needs one integer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from genkit.core.batch_noise import CPU, BatchNoise, Part
from genkit.core.errors import RecipeError
from genkit.core.randomness import Sampler, sent, stable_seed
from genkit.core.system import Batch, Data


class Source(Protocol):
    """What a data set must offer: see genkit.data.dataset.DataSet. It may carry another one, called `target`."""

    labels: Tensor | None

    def __len__(self) -> int: ...
    def rows(self, index: Tensor) -> Tensor: ...


def share_of(batch_size: int, processes: int) -> int:
    """Rows of each process; raises RecipeError for a batch that cannot be shared out equally."""
    if batch_size % processes:
        raise RecipeError(f"train.batch_size: {batch_size} cannot be shared by {processes} processes; use a multiple")
    return batch_size // processes


class Stream(Data):
    """Endless shuffled batches, and noise, shared out over processes.

    Item k is a function of (seed, k): its place in epoch k // n's permutation, and whether it is mirrored. Row r of a
    draw of noise is a function of (seed, iteration, draw, r). Each process makes its own rows, so that the number of
    processes changes neither what is computed nor what a process pays. A second domain is shuffled on its own, and its
    item k goes with item k of the first.

    Args:
        source: the data.
        batch_size: rows an iteration step sees over all processes.
        seed: of order and noise.
        rank, world_size: which rows are this process's.
        device: where batches and draws are put.
        mirror: flip each image left-right with probability one half.

    Raises:
        RecipeError: the batch cannot be shared out equally.
    """

    def __init__(
        self,
        source: Source,
        batch_size: int,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str = "cpu",
        mirror: bool = False,
    ):
        share = share_of(batch_size, world_size)
        self.source, self.batch_size, self.seed, self.mirror = source, batch_size, seed, mirror
        self.mine = slice(rank * share, (rank + 1) * share)
        self._part = Part(rank * share, share, batch_size)
        self.device = torch.device(device)
        self.position = 0
        self.noise = BatchNoise(seed)
        self._shuffle = Shuffle(len(source))
        self._target: Source | None = getattr(source, "target", None)
        self._target_shuffle = Shuffle(len(self._target), "target") if self._target else None

    def restarted(self, batch_size: int, seed: int) -> Stream:
        """A stream of the same data from the beginning, in one process, with other batches and another seed."""
        fresh = Stream(self.source, batch_size, seed=seed, device=self.device, mirror=self.mirror)
        fresh.begin(0)
        return fresh

    def begin(self, step: int) -> None:
        """Restarts the noise for iteration `step`."""
        self.noise = BatchNoise(stable_seed(self.seed, "noise", step))

    def normal(self, *shape: int) -> Tensor:
        return sent(self.noise.normal(self._part, *shape), self.device)

    def uniform(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return sent(self.noise.uniform(self._part, *shape, dtype=dtype), self.device)

    def integers(self, high: int) -> Tensor:
        return sent(self.noise.integers(self._part, high), self.device)

    def draw(self, sampler: Sampler) -> Tensor:
        """Of a distribution of one's own, drawn whole on every process."""
        return self.common(lambda rng: sampler(self.batch_size, rng)[self.mine])

    def common(self, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        """What `draw` makes of the noise of this iteration, whole on every process."""
        return sent(draw(self.noise.generator(CPU)), self.device)

    def __next__(self) -> Batch:
        span = (self.position + self.mine.start, self.position + self.mine.stop)
        batch = self._batch(*self._shuffle.items(self.seed, *span))
        if self._target and self._target_shuffle:
            index, flips = self._target_shuffle.items(self.seed, *span)
            batch = replace(batch, target=self._samples(self._target, index, flips))
        self.position += self.batch_size
        return batch

    def fetch(self, index: Tensor) -> Batch:
        """The rows `index` of the data as they are."""
        return self._batch(index.cpu(), None)

    def _batch(self, index: Tensor, flips: Tensor | None) -> Batch:
        labels = self.source.labels
        condition = {} if labels is None else {"label": sent(labels[index], self.device)}
        return Batch(self._samples(self.source, index, flips), condition, index)

    def _samples(self, source: Source, index: Tensor, flips: Tensor | None) -> Tensor:
        x = source.rows(index)
        if flips is not None and self.mirror:
            x = torch.where(flips.view(-1, 1, 1, 1), x.flip(-1), x)
        return sent(x, self.device)


class Shuffle:
    """The endless order of n rows, a new one every epoch, as a function of the seed.

    Args:
        n: rows.
        name: sets of different names are shuffled apart.
    """

    def __init__(self, n: int, *name: str):
        self.n, self.name = n, name
        self._laid_out, self._order, self._flips = (-1, -1), torch.empty(0), torch.empty(0)

    def items(self, seed: int, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Row and mirroring of the items start, ..., stop - 1."""
        n, index, flips = self.n, [], []
        for epoch in range(start // n, (stop - 1) // n + 1):
            self._lay_out(seed, epoch)
            here = slice(max(start - epoch * n, 0), min(stop - epoch * n, n))
            index.append(self._order[here])
            flips.append(self._flips[here])
        return torch.cat(index), torch.cat(flips)

    def _lay_out(self, seed: int, epoch: int) -> None:
        if (seed, epoch) == self._laid_out:
            return
        rng = torch.Generator().manual_seed(stable_seed(seed, *self.name, "epoch", epoch))
        self._laid_out, self._order = (seed, epoch), torch.randperm(self.n, generator=rng)
        self._flips = torch.rand(self.n, generator=rng) < 0.5
