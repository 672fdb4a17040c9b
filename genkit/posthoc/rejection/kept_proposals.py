"""Samples of a generator that stands still, made once: kept in memory, and on the disk where that is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import sha256
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from genkit.core.files import write_atomically
from genkit.core.fingerprint import described_fingerprint, fingerprint
from genkit.core.generator import Generator

Proposed = tuple[Tensor, dict[str, Tensor]]
"""Samples and their conditions."""
X, CONDITION = "x", "condition."

_folder: ContextVar[Path | None] = ContextVar("folder of proposals", default=None)


@contextmanager
def keeping_proposals(folder: Path) -> Iterator[None]:
    """A block whose proposals are kept in `folder`, batch by batch, so that work that was stopped makes none again.

    They are found by the generator's weights and settings, the seeds and the conditions; what is damaged is made again.
    """
    before = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(before)


class KeptProposals:
    """Batches of one generator, which are made once.

    Args:
        room: samples that are kept in memory at most; all others are made, or read, again.
    """

    def __init__(self, room: int = 0):
        self.room, self.batches, self._mark = room, dict[str, Proposed](), ""

    def batch(
        self, generator: Generator, seeds: Sequence[int], given: Mapping[str, Tensor], make: Callable[[], Proposed]
    ) -> Proposed:
        """Samples of `generator`, one of each seed, for the conditions that are given."""
        prints = {name: fingerprint(rows) for name, rows in sorted(given.items())}
        key = sha256(json.dumps([list(seeds), prints]).encode()).hexdigest()
        if key in self.batches:
            return self.batches[key]
        folder = _folder.get()
        made = make() if folder is None else self._on_disk(folder, key, generator, make)
        if len(made[0]) <= self.room:
            self.room -= len(made[0])
            self.batches[key] = made
        return made

    def _on_disk(self, folder: Path, key: str, generator: Generator, make: Callable[[], Proposed]) -> Proposed:
        self._mark = self._mark or described_fingerprint(generator)
        path = folder / f"{sha256((self._mark + key).encode()).hexdigest()}.safetensors"
        found = _read(path, generator)
        if found is None:
            found = x, condition = make()
            parts = {X: x} | {CONDITION + name: rows for name, rows in condition.items()}
            write_atomically(path, save({name: rows.cpu().contiguous() for name, rows in parts.items()}))
        return found


def _read(path: Path, generator: Generator) -> Proposed | None:
    try:
        parts = {name: rows.to(generator.device) for name, rows in load_file(path).items()}
        return parts.pop(X), {name.removeprefix(CONDITION): rows for name, rows in parts.items()}
    except (OSError, SafetensorError, KeyError):
        return None
