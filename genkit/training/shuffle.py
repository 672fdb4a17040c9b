"""The endless order of a data set as a function of the seed: the row of item k, and whether it is mirrored."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from genkit.core.batch_noise import SMALL, BatchNoise, Part
from genkit.core.randomness import stable_seed

ROUNDS = 6
AHEAD = 2**13
"""Items of a process that are laid out at once: so many cost little more than one."""
MIX = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: a product with it spreads low bits over the high ones (Knuth, vol. 3, 6.4)."""


class Shuffle:
    """The endless order of n rows, a new permutation every epoch, as a function of the seed.

    The cost is that of the items asked for, however large the set: a permutation of few rows is laid out whole, one of
    many is computed where it is needed.

    Args:
        n: rows.
        name: sets of different names are shuffled apart.
        epoch: the rows of an epoch, (m,) int64, where they are not each of the n once.
    """

    def __init__(self, n: int, *name: str, epoch: Tensor | None = None):
        self.n, self.name, self.epoch = n if epoch is None else len(epoch), name, epoch
        self._laid_out, self._order = (-1, -1), torch.empty(0)

    def rows(self, seed: int, items: np.ndarray) -> Tensor:
        """The rows of `items`, int64 of any shape."""
        epochs, places = np.divmod(items, self.n)
        rows = torch.empty(items.shape, dtype=torch.int64)
        for epoch in np.unique(epochs).tolist():
            within = torch.from_numpy(epochs == epoch)
            rows[within] = self._rows(seed, epoch, places[within.numpy()])
        return rows if self.epoch is None else self.epoch[rows]

    def flips(self, seed: int, start: int, stop: int) -> Tensor:
        """Whether each of the items is mirrored, bool."""
        return torch.cat([self._flips(seed, *part) for part in self._epochs(start, stop)])

    def _epochs(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """(epoch, first, end) for each epoch that the items lie in: their positions within it."""
        n = self.n
        for epoch in range(start // n, (stop - 1) // n + 1):
            yield epoch, max(start - epoch * n, 0), min(stop - epoch * n, n)

    def _flips(self, seed: int, epoch: int, first: int, last: int) -> Tensor:
        noise = BatchNoise(stable_seed(seed, *self.name, "mirror", epoch))
        return noise.uniform(Part(first, last - first, self.n)) < 0.5

    def _rows(self, seed: int, epoch: int, places: np.ndarray) -> Tensor:
        if self.n > SMALL:
            keys = [stable_seed(seed, *self.name, "epoch", epoch, i) for i in range(ROUNDS)]
            return torch.from_numpy(permuted(places, self.n, keys).astype(np.int64))
        if (seed, epoch) != self._laid_out:
            rng = torch.Generator().manual_seed(stable_seed(seed, *self.name, "epoch", epoch))
            self._laid_out, self._order = (seed, epoch), torch.randperm(self.n, generator=rng)
        return self._order[torch.from_numpy(places)]


class Shares:
    """Rows of the batches to come, of which a process has a share; several batches are laid out at once.

    Args:
        shuffle: order of the data.
        share: the process's items of the first batch.
        batch_size: items of a whole batch.
    """

    def __init__(self, shuffle: Shuffle, share: slice, batch_size: int):
        self.shuffle = shuffle
        self._items, self._stride = np.arange(share.start, share.stop), batch_size
        self._laid_out, self._rows = (0, 0), torch.empty(0, 0)

    def at(self, seed: int, position: int) -> Tensor:
        """The share of the batch whose first item is number `position`, (rows of the share,) int64."""
        of, begin = self._laid_out
        batch, within = divmod(position - begin, self._stride)
        if of != seed or within or not 0 <= batch < len(self._rows):
            batches = np.arange(max(1, AHEAD // len(self._items)))[:, None]
            self._rows = self.shuffle.rows(seed, position + self._stride * batches + self._items)
            self._laid_out, batch = (seed, position), 0
        return self._rows[batch]


def permuted(items: np.ndarray, n: int, keys: list[int]) -> np.ndarray:
    """`items` mapped by a pseudorandom permutation of {0, ..., n - 1}.

    A Feistel network (Luby & Rackoff 1988) on the next power of two, walked along until it is back below n (Black &
    Rogaway 2002).

    Args:
        items: integers in [0, n).
        n: at least 2.
        keys: one a round, an even number of them.
    """
    bits = max(2, (n - 1).bit_length())
    x = items.astype(np.uint64)
    going, waiting = x, np.arange(len(x))
    while len(waiting):
        going = _round_trip(going, bits, keys)
        inside = going < np.uint64(n)
        x[waiting[inside]] = going[inside]
        waiting, going = waiting[~inside], going[~inside]
    return x


def _round_trip(x: np.ndarray, bits: int, keys: list[int]) -> np.ndarray:
    """Halves of the bits change places, one of them mixed with a hash of the other, once for each key."""
    high, low = np.uint64(bits - bits // 2), np.uint64(bits // 2)
    for key in keys:
        a, b = x >> low, x & ((np.uint64(1) << low) - np.uint64(1))
        hashed = (b + np.uint64(key)) * MIX
        hashed = (hashed ^ hashed >> np.uint64(29)) * MIX
        x = b << high | (a ^ hashed >> np.uint64(64) - high)
        high, low = low, high
    return x
