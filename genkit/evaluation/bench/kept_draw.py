"""Samples of a generator, drawn once for all extractors and kept in parts, so that a stopped bench draws on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from genkit.core.crew import Crew
from genkit.core.files import write_atomically
from genkit.evaluation.sources import Source

BATCHES = 4
"""Of a part: what is lost when a bench is killed."""


@dataclass(frozen=True)
class KeptDraw:
    """The first n samples of one draw of a generator.

    Attributes:
        source: whose `share` makes them.
        n, seed, batch_size: of the draw; sample i is the same at any n.
        folder: of the parts, written by the first process.
        crew: processes that make a part together.
    """

    source: Source
    n: int
    seed: int
    batch_size: int
    folder: Path
    crew: Crew

    def as_source(self) -> Source:
        """The samples as a side of a comparison; in a crew every process reads all of it, in step."""
        return replace(self.source, batches=self._batches, share=None, generator=None)

    def forget(self) -> None:
        """Removes the parts."""
        if not self.crew.rank:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _batches(self, n: int, seed: int, size: int) -> Iterator[Tensor]:
        assert seed == self.seed and n <= self.n
        for start in range(0, n, BATCHES * self.batch_size):
            yield from self._part(start)[: n - start].split(size)

    def _part(self, start: int) -> Tensor:
        """Samples from `start` on: as an earlier run has left them, else made now."""
        numbers = range(start, min(self.n, start + BATCHES * self.batch_size))
        path = self.folder / f"{start:08}.safetensors"
        kept = self.crew.broadcast(None if self.crew.rank else _read(path))
        if kept is not None and len(kept) == len(numbers):
            return kept
        assert self.source.share
        mine = self.source.share(numbers, self.n, self.seed, self.batch_size, self.crew)
        part = torch.cat(
            self.crew.gathered({k * self.crew.count + self.crew.rank: x.cpu() for k, x in enumerate(mine)})
        )
        if not self.crew.rank:
            write_atomically(path, save({"samples": part}))
        return part


def _read(path: Path) -> Tensor | None:
    try:
        return load(path.read_bytes())["samples"]
    except (OSError, SafetensorError, KeyError):
        return None
