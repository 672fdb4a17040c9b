"""Work of one result that is shared out over the processes of a launch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Crew:
    """Processes that share work of one result; one alone by default.

    Attributes:
        rank: of this process, from 0.
        count: of processes.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def of_launch(cls) -> Crew:
        """All processes of this launch, as far as they know each other."""
        return cls(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else cls()

    def has(self, k: int) -> bool:
        """Whether piece number k of the work falls to this process."""
        return k % self.count == self.rank

    def whole_batches(self, numbers: Iterable[int], n: int, batch_size: int) -> list[int]:
        """The share of this process in some of n samples: whole batches, as one process makes them, so that no bit
        differs."""
        batches = sorted({k // batch_size for k in numbers})
        mine = (batch for place, batch in enumerate(batches) if self.has(place))
        return [k for batch in mine for k in range(batch * batch_size, min(n, (batch + 1) * batch_size))]

    def my_batches(self, index: Tensor, batch_size: int) -> Iterator[tuple[int, Tensor]]:
        """(number, rows) of those batches of `index` that fall to this process."""
        return ((k, rows) for k, rows in enumerate(index.split(batch_size)) if self.has(k))

    def exchanged(self, piece: Any) -> list[Any]:
        """The pieces of all processes, by rank; every process must call this."""
        found = [piece]
        if self.count > 1:
            found = [None] * self.count
            dist.all_gather_object(found, piece)
        return found

    def broadcast(self, first: T) -> T:
        """`first` of the first process, in all; every process must call this."""
        said: T = self.exchanged(first if self.rank == 0 else None)[0]
        return said

    def once(self, work: Callable[[], T]) -> T:
        """The result of `work`, which the first process alone does, in all; every process must call this."""
        found: T = self.broadcast(work() if self.rank == 0 else None)  # type: ignore[assignment]
        return found

    def gathered(self, made: Mapping[Any, T]) -> list[T]:
        """The pieces of all processes in order; every process must call this."""
        whole: dict[Any, T] = {k: piece for part in self.exchanged(dict(made)) for k, piece in part.items()}
        return [whole[k] for k in sorted(whole)]


ALONE = Crew()
"""One process that shares with nobody."""
