"""Training goes on while a checkpoint is written, and it is what it would be if training had waited."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from genkit.core.errors import CheckpointError
from genkit.training import saving, train
from genkit.training.checkpoint import complete, verify
from genkit.training.saving import Saving, save_checkpoint
from genkit.training.trainer import Trainer
from tests.contracts.specs import SYSTEM_CASES, make_trainer
from tests.training.tiny import by_example, on_processes, points

CASE = SYSTEM_CASES["gan_training-3"]
HONEST = saving.write_file


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Nothing is written before it is set."""
    event = Event()

    def write(path: Path, content: Any) -> Any:
        assert event.wait(60)
        return HONEST(path, content)

    monkeypatch.setattr(saving, "write_file", write)
    yield event
    event.set()


def files(checkpoint: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in checkpoint.iterdir()}


def trained(iterations: int) -> Trainer:
    trainer = make_trainer(CASE)
    for _ in range(iterations):
        trainer.iterate()
    return trainer


def test_training_goes_on_and_the_checkpoint_is_of_its_iteration(held: Event, tmp_path: Path) -> None:
    trainer = trained(2)
    under_way = Saving(trainer.accelerator)
    final = under_way.begin(trainer, tmp_path / "beside")
    for _ in range(2):
        trainer.iterate()
    assert not final.exists()
    held.set()
    under_way.wait()
    assert files(final) == files(save_checkpoint(trained(2), tmp_path / "straight"))


def test_without_a_copy_it_would_be_of_a_later_iteration(
    held: Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "_copy", lambda content: content)
    trainer = trained(2)
    under_way = Saving(trainer.accelerator)
    final = under_way.begin(trainer, tmp_path / "beside")
    trainer.iterate()
    held.set()
    under_way.wait()
    assert files(final) != files(save_checkpoint(trained(2), tmp_path / "straight"))


def test_a_state_without_room_is_not_copied_and_training_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "usable_memory", lambda: 1)
    monkeypatch.setattr(saving, "_copy", pytest.fail)
    trainer = trained(2)
    under_way = Saving(trainer.accelerator)
    final = under_way.begin(trainer, tmp_path / "waited")
    trainer.iterate()
    under_way.wait()
    monkeypatch.undo()
    assert files(final) == files(save_checkpoint(trained(2), tmp_path / "straight"))


def full(path: Path, content: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("next_call", [Saving.wait, lambda self: self.begin(trained(3), Path("never"))])
def test_an_error_of_the_thread_is_raised_at_the_next_checkpoint_or_the_end(
    next_call: Callable[[Saving], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trained(2)
    before = save_checkpoint(trainer, tmp_path)
    monkeypatch.setattr(saving, "write_file", full)
    under_way = Saving(trainer.accelerator)
    trainer.iterate()
    under_way.begin(trainer, tmp_path)
    with pytest.raises(CheckpointError, match=r"cannot write .*step-00000003: No space left on device, \d+ MiB free"):
        next_call(under_way)
    assert [*tmp_path.iterdir()] == [before]
    under_way.wait()


def test_the_end_of_a_run_waits_and_tells_of_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "write_file", full)
    with pytest.raises(CheckpointError, match="No space left"):
        train(points(3), tmp_path / "run")
    assert not (tmp_path / "run/weights").exists()


def test_whoever_leaves_early_still_finishes_what_is_under_way(held: Event, tmp_path: Path) -> None:
    trainer = trained(1)
    under_way = Saving(trainer.accelerator)
    final = under_way.begin(trainer, tmp_path)
    held.set()
    under_way.close()
    verify(final)
    under_way.close()


def test_what_follows_comes_once_it_has_its_name(tmp_path: Path) -> None:
    trainer, seen = trained(1), list[bool]()
    under_way = Saving(trainer.accelerator)
    final = under_way.begin(trainer, tmp_path, then=lambda final: seen.append(final.is_dir()))
    under_way.wait()
    assert seen == [True] and final.is_dir()


def share(folder: Path) -> None:
    rank = os.environ["RANK"]

    def write(path: Path, content: Any) -> Any:
        (folder / f"{path.name}-by-{rank}").touch()
        return HONEST(path, content)

    saving.write_file = write
    train(by_example(6), folder / "run")


def test_the_second_process_writes_the_optimizers(tmp_path: Path) -> None:
    assert on_processes(2, share, tmp_path, tmp_path) == [0, 0]
    names = {"state.json-by-0", "system.safetensors-by-0", "ema.safetensors-by-0", "optimizers.safetensors-by-1"}
    assert {path.name for path in tmp_path.glob("*-by-*")} == names
    found = complete(tmp_path / "run/checkpoints")
    assert [path.name for path in found] == ["step-00000004", "step-00000006"]
    for path in found:
        verify(path)


def share_and_leave(folder: Path) -> None:
    leave = saving._leave

    def noted(listed: Any, path: Path) -> None:
        (folder / f"left-by-{os.environ['RANK']}").touch()
        leave(listed, path)

    saving._leave = noted
    train(by_example(6), folder / "run")


def test_a_process_with_nothing_to_write_touches_nothing(tmp_path: Path) -> None:
    assert on_processes(4, share_and_leave, tmp_path, tmp_path) == [0] * 4
    assert {path.name for path in tmp_path.glob("left-by-*")} == {"left-by-1"}
    assert not [*(tmp_path / "run/checkpoints").glob(".*")]


def failing(rank: str, folder: Path) -> None:
    if os.environ["RANK"] == rank:
        saving.write_file = full
    try:
        train(points(6), folder / "run")
    except CheckpointError as error:
        (folder / f"told-{os.environ['RANK']}").write_text(str(error))


@pytest.mark.parametrize("rank", ["0", "1"])
def test_an_error_of_one_process_is_raised_in_all(rank: str, tmp_path: Path) -> None:
    assert on_processes(2, failing, tmp_path, rank, tmp_path) == [0, 0]
    told = [(tmp_path / f"told-{one}").read_text() for one in (0, 1)]
    assert told[0] == told[1] and "No space left on device" in told[0]
    assert not [*(tmp_path / "run/checkpoints").glob("*")]
