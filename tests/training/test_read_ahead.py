from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.run_contents import contents
from genkit.core.errors import DataError
from genkit.core.interruption import Stopped
from genkit.images.pixels import write_folder
from genkit.training import train
from genkit.training.read_ahead import NAME
from genkit.training.recipe import Recipe
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer
from tests.training.sources import Numbers
from tests.training.tiny import images

ROW_S, ROWS, BATCHES = 0.005, 8, 8


class Slow(Numbers):
    """Numbers from a slow disk."""

    def stored(self, index: torch.Tensor) -> torch.Tensor:
        return self.rows(index)

    def rows(self, index: Tensor) -> Tensor:
        time.sleep(ROW_S * len(index))
        return super().rows(index)


def seconds(stream: Stream) -> float:
    """Of an iteration that computes as long as reading takes, but for the first."""
    next(stream)
    begun = time.perf_counter()
    for _ in range(BATCHES):
        time.sleep(ROW_S * ROWS)
        next(stream)
    return (time.perf_counter() - begun) / BATCHES


def test_reading_goes_on_while_computing() -> None:
    """The larger of the two, not their sum, which is twice as large here."""
    ahead, plain = (Stream(Slow(100), ROWS, seed=1, ahead=n) for n in (2, 0))
    assert min(seconds(ahead) / seconds(plain) for _ in range(3)) < 0.75
    ahead.close()


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("ahead", [1, 3])
def test_no_bit_changes_wherever_it_goes_on(ahead: int, mirror: bool) -> None:
    plain, early = (Stream(Numbers(10, images=True), 4, seed=1, mirror=mirror, ahead=n) for n in (0, ahead))
    for position in (0, 4, 8, 20, 12, 16, 20, 400):
        plain.position = early.position = position
        want, got = next(plain), next(early)
        assert (
            got.x.equal(want.x)
            and got.index.equal(want.index)
            and got.condition["label"].equal(want.condition["label"])
        )
        assert early.position == position + 4
    early.close()


class Broken(Numbers):
    def stored(self, index: torch.Tensor) -> torch.Tensor:
        return self.rows(index)

    def rows(self, index: Tensor) -> Tensor:
        if (index == 7).any():
            raise DataError("row 7 cannot be read")
        return super().rows(index)


def test_an_error_comes_in_its_turn() -> None:
    early, good = Stream(Broken(10), 1, seed=1, ahead=3), 0
    with pytest.raises(DataError, match=r"^row 7 cannot be read$"):
        while True:
            next(early)
            good += 1
    assert [next(Stream(Numbers(10), 10, seed=1)).index.tolist().index(7)] == [good]
    early.close()


def readers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == NAME}


def test_the_thread_ends_with_the_stream() -> None:
    others, early = readers(), Stream(Numbers(10), 2, seed=1, ahead=2)
    next(early)
    (own,) = readers() - others
    early.close()
    own.join(10)
    assert not own.is_alive()
    assert len(next(early)) == 2, "it may go on"
    early.close()


def test_a_run_on_a_mapped_file_is_that_of_one_in_memory_through_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = torch.Generator().manual_seed(0)
    write_folder([torch.randint(256, (20, 1, 8, 8), dtype=torch.uint8, generator=rng)], tmp_path / "pictures")
    data = {"type": "folder", "path": str(tmp_path / "pictures"), "size": 8, "channels": 1}
    recipe = Recipe.from_dict({**images(6).to_dict(), "data": data})
    train(recipe, tmp_path / "memory")
    monkeypatch.setattr("genkit.data.storage.memory_limit", lambda: 0)
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    honest, reading = Trainer.iterate, list[bool]()

    def iterate(self: Trainer) -> Any:
        scalars = honest(self)
        reading.append(bool(readers()))
        if len(reading) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return scalars

    monkeypatch.setattr(Trainer, "iterate", iterate)
    with pytest.raises(Stopped):
        train(recipe, tmp_path / "mapped")
    train(recipe, tmp_path / "mapped", resume=True)
    assert contents(tmp_path / "mapped") == contents(tmp_path / "memory")
    assert reading == [True] * 6, "it was read ahead"
