"""Sources of noise. Sampling gives every sample its own stream; training shares one stream over processes."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TypeVar

import torch
from torch import Tensor

from genkit.core import tree
from genkit.core.errors import GenkitError, shown
from genkit.core.precision import WITHOUT_FLOAT64

T = TypeVar("T")
Sampler = Callable[[int, torch.Generator], T]
"""(n, rng) -> n rows: a tensor, or a tree of tensors."""


def stable_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on `parts` alone, on any machine and in any process."""
    return int.from_bytes(sha256("/".join(map(str, parts)).encode()).digest()[:8], "little") >> 1


def seed_networks(seed: int, device: torch.device | str = "cpu") -> None:
    """Seeds what networks draw from by themselves, as dropout does: the global generators of the CPU and of `device`.

    torch.manual_seed seeds every kind of device instead, and where one is missing it notes the call stack each time.
    """
    torch.default_generator.manual_seed(seed)
    if torch.device(device).type not in ("cpu", "meta"):
        torch.get_device_module(device).manual_seed(seed)


class Randomness(ABC):
    """A source of rows of noise; the first dimension of everything drawn is the number of rows."""

    @abstractmethod
    def draw(self, sampler: Sampler[T]) -> T:
        """The rows of `sampler` that belong here."""

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, (rows, *shape) float32."""
        return self.draw(lambda n, rng: torch.randn(n, *shape, generator=rng))

    def uniform(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Uniform on [0, 1), (rows, *shape)."""
        return self.draw(lambda n, rng: torch.rand(n, *shape, generator=rng, dtype=dtype))

    def integers(self, high: int) -> Tensor:
        """Uniform on {0, ..., high - 1}, (rows,) int64."""
        return self.draw(lambda n, rng: torch.randint(high, (n,), generator=rng))


class Noise(Randomness):
    """n rows of one stream; None takes torch's global one."""

    def __init__(self, n: int, rng: torch.Generator | None = None):
        self.n, self.rng = n, rng or torch.default_generator

    def draw(self, sampler: Sampler[T]) -> T:
        return sampler(self.n, self.rng)


class Rows(Randomness):
    """One independent stream per sample: row i is the same in any batch.

    Args:
        n: number of rows.
        rng: CPU generator that the seeds of the rows are taken from, in order; None takes torch's global one.
        device: of the drawn rows; they are always drawn on the CPU, hence equal on every device.
    """

    def __init__(self, n: int, rng: torch.Generator | None = None, device: torch.device | str = "cpu"):
        self._begin(seeds_of_rows(n, rng), torch.device(device))

    @classmethod
    def of(cls, seeds: Sequence[int], device: torch.device | str = "cpu") -> Rows:
        """The rows of these seeds, of those that `seeds_of_rows` gives."""
        found = cls.__new__(cls)
        found._begin(list(seeds), torch.device(device))
        return found

    def _begin(self, seeds: list[int], device: torch.device) -> None:
        self.seeds, self.device = seeds, device
        self.streams = [torch.Generator().manual_seed(seed) for seed in seeds]

    def only(self, index: Tensor | Sequence[int]) -> Rows:
        """The chosen rows: what they draw here they have drawn there."""
        chosen = torch.as_tensor(index).tolist()
        found = copy.copy(self)
        found.seeds, found.streams = ([of[k] for k in chosen] for of in (self.seeds, self.streams))
        return found

    def apart(self, index: Tensor, number: Tensor) -> Rows:
        """Fresh streams for the rows `index`, (n,): functions of a row and of `number`, (n,), and of no draw so far."""
        pairs = zip(index.tolist(), number.tolist(), strict=True)
        return Rows.of([stable_seed("apart", self.seeds[k], which) for k, which in pairs], self.device)

    @property
    def chances(self) -> Tensor:
        """Uniform on [0, 1), (n,) float64 on the CPU: the seeds themselves, for one decision a row without a draw."""
        return (torch.tensor(self.seeds, dtype=torch.int64) >> 10).double() * 2.0**-53

    def __len__(self) -> int:
        return len(self.streams)

    def draw(self, sampler: Sampler[T]) -> T:
        drawn = [sampler(1, stream) for stream in self.streams]
        return tree.map(lambda *rows: sent(torch.cat(rows), self.device), *drawn)


def seeds_of_rows(n: int, rng: torch.Generator | None = None) -> list[int]:
    """The seeds of n rows, in order: the first of more are the same.

    Raises:
        GenkitError: `rng` is no torch.Generator.
    """
    if rng is not None and not isinstance(rng, torch.Generator):
        raise GenkitError(f"rng is a torch.Generator, as torch.Generator().manual_seed(0) makes; got {shown(rng)}")
    seeds: list[int] = torch.randint(2**63 - 1, (n,), generator=rng).tolist()
    return seeds


def sent(rows: Tensor, device: torch.device | str) -> Tensor:
    """`rows` of the CPU on `device`; from pinned memory for a GPU, else the copy would wait for all work before it.

    float64 ones stay where they are if the device has none.
    """
    if rows.dtype == torch.float64 and torch.device(device).type in WITHOUT_FLOAT64:
        return rows
    if torch.device(device).type != "cuda" or rows.is_cuda:
        return rows.to(device)
    return rows.pin_memory().to(device, non_blocking=True)
