from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from genkit.core.errors import CheckpointError, TrainingError
from genkit.training import checkpoint, saving
from genkit.training.checkpoint import (
    FILES,
    complete,
    load_checkpoint,
    newest_good,
    prune,
    tidy,
    verify,
)
from genkit.training.saving import save_checkpoint
from genkit.training.trainer import Trainer
from tests.contracts.specs import SYSTEM_CASES, make_trainer

CASE = SYSTEM_CASES["gan_training-3"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trainer]:
    """Checkpoints after one, two and three iterations."""
    trainer, folder = make_trainer(CASE), tmp_path_factory.mktemp("saved")
    for _ in range(3):
        trainer.iterate()
        save_checkpoint(trainer, folder, {"note": "extra"})
    return folder, trainer


@pytest.fixture
def folder(saved: tuple[Path, Trainer], tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved[0], tmp_path / "checkpoints"))


def test_the_manifest_lists_every_file_and_nothing_is_pickled(folder: Path) -> None:
    for one in complete(folder):
        verify(one)
        names = {p.name for p in one.iterdir()}
        assert names == {*FILES, "manifest.json"} == {*json.loads((one / "manifest.json").read_text()), "manifest.json"}
    state = json.loads((folder / "step-00000003/state.json").read_text())
    assert (state["step"], state["seed"], state["processes"], state["note"]) == (3, 0, 1, "extra")
    assert state["position"] == 3 * 3 * 8


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def huge_header(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes((2**62).to_bytes(8, "little") + content[8:])


@pytest.mark.parametrize("damage", [truncate, flip, empty, huge_header, Path.unlink])
@pytest.mark.parametrize("name", [*sorted(FILES), "manifest.json"])
def test_damage_is_refused_and_the_one_before_is_used_with_one_note(
    name: str, damage: Callable[[Path], None], folder: Path
) -> None:
    damage(folder / "step-00000003" / name)
    with pytest.raises(CheckpointError, match="step-00000003") as error:
        load_checkpoint(make_trainer(CASE), folder / "step-00000003")
    assert name in str(error.value) or name == "manifest.json"
    notes: list[str] = []
    assert newest_good(folder, notes.append) == folder / "step-00000002"
    assert len(notes) == 1 and "\n" not in notes[0] and notes[0].endswith("going back to step-00000002")


def test_every_flipped_byte_of_the_manifest_is_refused_or_harmless(folder: Path) -> None:
    one = folder / "step-00000003"
    content = (one / "manifest.json").read_bytes()
    spaces = 0
    for i in range(0, len(content), 3):
        (one / "manifest.json").write_bytes(content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :])
        try:
            verify(one)
            spaces += 1
        except CheckpointError:
            pass
    assert spaces < len(content) / 30


@pytest.mark.parametrize("pair", [("system.safetensors", "ema.safetensors"), ("ema.safetensors", "state.json")])
def test_swapped_files_are_refused(pair: tuple[str, str], folder: Path) -> None:
    a, b = (folder / "step-00000003" / name for name in pair)
    content = a.read_bytes(), b.read_bytes()
    a.write_bytes(content[1])
    b.write_bytes(content[0])
    with pytest.raises(CheckpointError, match="step-00000003"):
        verify(folder / "step-00000003")


def test_files_of_another_checkpoint_are_refused(folder: Path) -> None:
    shutil.copy(folder / "step-00000002/optimizers.safetensors", folder / "step-00000003/optimizers.safetensors")
    with pytest.raises(CheckpointError, match="optimizers"):
        verify(folder / "step-00000003")


def test_a_manifest_that_leaves_files_out_is_refused(folder: Path) -> None:
    one = folder / "step-00000003"
    manifest = json.loads((one / "manifest.json").read_text())
    del manifest["system.safetensors"]
    (one / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="does not list system"):
        verify(one)


def with_a_right_manifest(one: Path, name: str, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    state = load_file(one / name)
    change(state)
    save_file(state, one / name)
    manifest = json.loads((one / "manifest.json").read_text())
    content = (one / name).read_bytes()
    manifest[name] = {"bytes": len(content), "sha256": checkpoint.sha256_of_file(one / name)}
    (one / "manifest.json").write_text(json.dumps(manifest))


def poison(state: dict[str, torch.Tensor]) -> None:
    next(iter(state.values())).view(-1)[0] = float("nan")


@pytest.mark.parametrize("name", ["system.safetensors", "ema.safetensors"])
def test_weights_that_are_not_finite_are_refused(name: str, folder: Path) -> None:
    with_a_right_manifest(folder / "step-00000003", name, poison)
    with pytest.raises(CheckpointError, match=f"step-00000003/{name}: .* not finite$"):
        verify(folder / "step-00000003")
    assert newest_good(folder, lambda line: None) == folder / "step-00000002"


def test_a_checkpoint_of_another_shape_does_not_fit(folder: Path) -> None:
    other = make_trainer(SYSTEM_CASES["gan_training-0"])
    with pytest.raises(CheckpointError, match="does not fit this recipe") as error:
        load_checkpoint(other, folder / "step-00000003")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["[" * 10**5, '{"a": ' + "9" * 6000 + "}", "[]", '{"state.json": {"bytes": Infinity, "sha256": ""}}', "\x00"],
)
def test_a_hostile_manifest_is_damage(text: str, folder: Path) -> None:
    (folder / "step-00000003" / "manifest.json").write_text(text)
    assert newest_good(folder, [].append) == folder / "step-00000002"


@pytest.mark.parametrize("name", ["../../escape", "a/b", "/etc/hostname", "a\0b"])
def test_a_manifest_lists_files_of_its_own_folder(name: str, folder: Path) -> None:
    path = folder / "step-00000003" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: {"bytes": 1, "sha256": ""}}))
    with pytest.raises(CheckpointError, match="which is no file of a checkpoint"):
        verify(path.parent)


@pytest.mark.parametrize("text", ["[" * 10**5, "[]", '{"step": 3}', "\x00"])
def test_a_state_that_cannot_be_read_is_damage_though_its_hash_is_right(text: str, folder: Path) -> None:
    one = folder / "step-00000003"
    (one / "state.json").write_text(text)
    manifest = json.loads((one / "manifest.json").read_text())
    manifest["state.json"] = {"bytes": len(text), "sha256": checkpoint.sha256_of_file(one / "state.json")}
    (one / "manifest.json").write_text(json.dumps(manifest))
    notes: list[str] = []
    assert newest_good(folder, notes.append) == folder / "step-00000002"
    assert len(notes) == 1 and "state.json" in notes[0]


def test_tensors_of_another_kind_do_not_fit(folder: Path) -> None:
    def counted(state: dict[str, torch.Tensor]) -> None:
        state.update({k: v.long() for k, v in state.items()})

    with_a_right_manifest(folder / "step-00000003", "system.safetensors", counted)
    with pytest.raises(CheckpointError, match=r"does not fit this recipe: of another kind .*int64 instead of float32"):
        load_checkpoint(make_trainer(CASE), folder / "step-00000003")


def test_all_damaged_is_none_and_one_note_each(folder: Path) -> None:
    for one in complete(folder):
        flip(one / "system.safetensors")
    notes: list[str] = []
    assert newest_good(folder, notes.append) is None
    assert len(notes) == 3 and notes[-1].endswith("going back to the beginning")
    assert newest_good(folder / "none", notes.append) is None


def test_without_hashes_a_flipped_byte_would_go_unnoticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, trainer = folder / "step-00000003", make_trainer(CASE)
    content = bytearray((one / "system.safetensors").read_bytes())
    content[-2] ^= 1
    (one / "system.safetensors").write_bytes(content)
    monkeypatch.setattr(checkpoint, "verify", lambda folder: None)
    load_checkpoint(trainer, one)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="sha256"):
        load_checkpoint(trainer, one)


def test_leftovers_of_kills_are_removed_and_what_was_moved_aside_comes_back(folder: Path) -> None:
    (folder / ".step-00000004.tmp").mkdir()
    (folder / ".step-00000001.gone.tmp").mkdir()
    (folder / ".step-00000004.tmp/system.safetensors").touch()
    (folder / "step-00000003").rename(folder / ".step-00000003.old")
    shutil.copytree(folder / "step-00000002", folder / ".step-00000002.old")
    tidy(folder)
    assert sorted(p.name for p in folder.iterdir()) == [f"step-0000000{i}" for i in (1, 2, 3)]
    tidy(folder / "none")


def test_other_names_are_no_checkpoints(folder: Path) -> None:
    (folder / "step-notes").mkdir()
    (folder / "step-00000009").touch()
    assert [p.name for p in complete(folder)] == [f"step-0000000{i}" for i in (1, 2, 3)]


@pytest.mark.parametrize(
    ("newest", "keep", "spare", "left"),
    [
        (3, 2, None, {2, 3}),
        (3, 1, None, {3}),
        (3, 9, None, {1, 2, 3}),
        (3, 1, 1, {1, 3}),
        (2, 1, None, {2}),
        (2, 2, None, {1, 2}),
    ],
)
def test_pruning_keeps_the_newest_and_the_best(
    newest: int, keep: int, spare: int | None, left: set[int], folder: Path
) -> None:
    """A checkpoint beyond the newest is one that was passed over as damaged."""
    best = folder / f"step-0000000{spare}" if spare else None
    prune(folder / f"step-0000000{newest}", keep, best)
    assert {p.name for p in folder.iterdir()} == {f"step-0000000{i}" for i in left}


@pytest.mark.parametrize("name", [*sorted(FILES), "manifest.json"])
def test_a_full_disk_leaves_what_was_there(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, saved: tuple[Path, Trainer]
) -> None:
    honest = saving.write_file, saving.write_synced

    def full(write: Callable[..., Any], path: Path, content: Any) -> Any:
        if path.name == name:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content)

    monkeypatch.setattr(saving, "write_file", partial(full, honest[0]))
    monkeypatch.setattr(saving, "write_synced", partial(full, honest[1]))
    with pytest.raises(CheckpointError, match=r"cannot write .*step-00000003: No space left on device, \d+ MiB free"):
        save_checkpoint(saved[1], folder)
    assert sorted(p.name for p in folder.iterdir()) == [f"step-0000000{i}" for i in (1, 2, 3)]
    assert newest_good(folder, pytest.fail) == folder / "step-00000003"


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    trainer = make_trainer(CASE)
    with torch.no_grad():
        trainer.system.critic.head.weight[0, 0] = float("inf")
    with pytest.raises(TrainingError, match=r"iteration 0: critic\.head\.weight holds numbers that are not finite"):
        save_checkpoint(trainer, tmp_path)
    assert not list(tmp_path.iterdir())
