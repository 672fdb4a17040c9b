from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from genkit import files
from genkit.errors import CheckpointError, WeightsError
from genkit.files import new_folder, write_atomically


def test_writes_and_replaces_and_makes_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two" and [p.name for p in path.parent.iterdir()] == ["b.txt"]


@pytest.mark.parametrize("when", ["write", "replace"])
def test_a_failure_keeps_the_old_file_and_names_path_reason_and_space(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.txt"
    write_atomically(path, b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*((files, "write_synced", full) if when == "write" else (os, "replace", full)))
    with pytest.raises(CheckpointError, match=r"cannot write .*b\.txt: No space left on device, \d+ MiB free there"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["b.txt"]


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(CheckpointError, match=r"cannot write .*a/b\.txt: (Not a directory|File exists)"):
        write_atomically(tmp_path / "a" / "b.txt", b"")


def test_a_new_folder_is_new_or_empty_and_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert new_folder(".") == tmp_path and new_folder("a/../b") == tmp_path / "b" and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("path", "said"), [(".", "not empty"), ("mine", "is a file"), ("mine/x/y", "mine is a file")])
def test_a_used_folder_is_refused(path: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(WeightsError, match=said):
        new_folder(path)
