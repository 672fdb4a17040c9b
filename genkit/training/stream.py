"""Data and noise of training as a pure function of (seed, position): resuming needs one integer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from genkit.core import tree
from genkit.core.batch_noise import CPU, BatchNoise, Part
from genkit.core.errors import RecipeError
from genkit.core.generator import Items
from genkit.core.randomness import Sampler, T, sent, stable_seed
from genkit.core.system import Batch, Data
from genkit.images.pixels import from_uint8
from genkit.training.balanced import balanced_rows
from genkit.training.read_ahead import ReadAhead
from genkit.training.shuffle import Shares, Shuffle


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
        source: the data; they may carry a second domain, called `target`.
        batch_size: rows an iteration step sees over all processes.
        seed: of order and noise.
        rank, world_size: number of this process and of all; they decide its rows.
        device: device of batches and draws.
        mirror: flip each image left-right with probability one half.
        balanced: repeat rows of rare classes, so that an epoch has as many of every class.
        ahead: batches whose rows a thread reads before they are asked for; no bit of them changes. See `close`.

    Raises:
        RecipeError: the batch cannot be shared out equally, or there are no classes to balance.
    """

    def __init__(
        self,
        source: Items,
        batch_size: int,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str = "cpu",
        mirror: bool = False,
        balanced: bool = False,
        ahead: int = 0,
    ):
        share = share_of(batch_size, world_size)
        self.source, self.batch_size, self.seed, self.mirror = source, batch_size, seed, mirror
        self._part = Part(rank * share, share, batch_size)
        self.mine = self._part.span
        self.device = torch.device(device)
        self.position = 0
        self.noise = BatchNoise(seed)
        self.balanced = balanced
        shuffle = Shuffle(len(source), epoch=balanced_rows(source) if balanced else None)
        self._order = Shares(shuffle, self.mine, batch_size)
        self._target: Items | None = getattr(source, "target", None)
        target = Shuffle(len(self._target), "target") if self._target else None
        self._target_order = Shares(target, self.mine, batch_size) if target else None
        self._ahead = ReadAhead(self._reading, batch_size, ahead) if ahead else None

    def restarted(self, batch_size: int, seed: int) -> Stream:
        """A stream of the same data from the beginning, in one process, with other batches and another seed."""
        fresh = Stream(
            self.source, batch_size, seed=seed, device=self.device, mirror=self.mirror, balanced=self.balanced
        )
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

    def draw(self, sampler: Sampler[T]) -> T:
        """Noise of any distribution, drawn whole on every process."""
        drawn = sampler(self.batch_size, self.noise.generator(CPU))
        return tree.map(lambda whole: sent(whole[self.mine], self.device), drawn)

    def common(self, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        """The result of `draw` on this iteration's noise, whole and the same on every process, on the CPU."""
        return draw(self.noise.generator(CPU))

    def __next__(self) -> Batch:
        read = self._ahead.at(self.position) if self._ahead else self._reading(self.position)()
        self.position += self.batch_size
        return self._sent(read)

    def close(self) -> None:
        """Ends the thread that reads ahead, if there is one."""
        if self._ahead:
            self._ahead.close()

    def _reading(self, position: int) -> Callable[[], Batch]:
        """The reading of the batch whose first item is number `position`, to the CPU."""
        order, target, other = self._items(self._order, position), self._target, self._target_order
        of_target = self._items(other, position) if other else None

        def read() -> Batch:
            batch = self._batch(*order)
            return replace(batch, target=self._samples(target, *of_target)) if target and of_target else batch

        return read

    def _items(self, order: Shares, position: int) -> tuple[Tensor, Tensor | None]:
        """Rows of the data, and which of them are mirrored."""
        flips = None
        if self.mirror:
            flips = order.shuffle.flips(self.seed, position + self.mine.start, position + self.mine.stop)
        return order.at(self.seed, position), flips

    def fetch(self, index: Tensor) -> Batch:
        """The rows `index`, on the CPU, of the data, not mirrored."""
        return self._sent(self._batch(index, None))

    def _batch(self, index: Tensor, flips: Tensor | None) -> Batch:
        """Rows of the data, on the CPU."""
        return Batch(self._samples(self.source, index, flips), self.source.condition(index), index)

    def _sent(self, batch: Batch) -> Batch:
        """The batch on the device."""
        if self.device.type == "cpu":
            return batch
        condition = {name: sent(rows, self.device) for name, rows in batch.condition.items()}
        target = None if batch.target is None else _floats(sent(batch.target, self.device))
        return Batch(_floats(sent(batch.x, self.device)), condition, batch.index, target)

    def _samples(self, source: Items, index: Tensor, flips: Tensor | None) -> Tensor:
        """Rows as they are stored, which are converted where they are computed on."""
        x = source.stored(index)
        if flips is not None:
            x = torch.where(flips.view(-1, 1, 1, 1), x.flip(-1), x)
        return _floats(x) if self.device.type == "cpu" else x


def _floats(x: Tensor) -> Tensor:
    return from_uint8(x) if x.dtype == torch.uint8 else x
