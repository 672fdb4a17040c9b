from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from genkit.core.errors import CheckpointError, DataError, GenkitError
from genkit.core.files import (
    being_written,
    check_place,
    new_folder,
    read_regular,
    remove_leftovers,
    write_atomically,
    write_text_atomically,
)


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

    monkeypatch.setattr(os, {"write": "fsync", "replace": "replace"}[when], full)
    with pytest.raises(CheckpointError, match=r"cannot write .*b\.txt: No space left on device, \d+ MiB free there"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["b.txt"]


def test_a_file_being_written_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.u8"
    with being_written(path) as file:
        file.write(b"half")
        assert not path.exists()
    assert path.read_bytes() == b"half"
    with pytest.raises(KeyboardInterrupt), being_written(path) as file:
        file.write(b"more")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"half" and list(path.parent.iterdir()) == [path]


def test_leftovers_are_removed_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    kill = (
        "import os, signal\nfrom pathlib import Path\nfrom genkit.core.files import being_written\n"
        f"with being_written(Path({str(tmp_path / 'killed.u8')!r})) as file:\n"
        "    file.write(b'half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", kill], cwd=Path(__file__).parents[2])
    assert len(list(tmp_path.glob(".killed*.tmp"))) == 1
    other, kept = tmp_path / ".of_an_editor.tmp", tmp_path / "c.u8"
    for path in (other, kept):
        path.touch()
    with being_written(tmp_path / "now.u8") as file:
        remove_leftovers(tmp_path)
        assert Path(file.name).exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == [other.name, kept.name, "now.u8"]
    remove_leftovers(tmp_path / "nowhere")
    remove_leftovers(kept)


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    (tmp_path / "file").write_bytes(b"12345")
    for name, reason in (("pipe", "is a pipe"), ("zeros", "is a device"), (".", "is a folder")):
        with pytest.raises(DataError, match=reason):
            read_regular(tmp_path / name)
    assert read_regular(tmp_path / "file") == b"12345"
    with pytest.raises(DataError, match="larger than 0 MiB"):
        read_regular(tmp_path / "file", 4)


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(CheckpointError, match=r"cannot write .*a/b\.txt: (Not a directory|File exists)"):
        write_atomically(tmp_path / "a" / "b.txt", b"")


def test_a_new_folder_is_new_or_empty_and_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert new_folder(".") == tmp_path and new_folder("a/../b") == tmp_path / "b" and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("path", "said"), [(".", "not empty"), ("mine", "is a file"), ("mine/x/y", "mine is no folder")]
)
def test_a_used_folder_is_refused(path: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(GenkitError, match=said):
        new_folder(path)


def test_a_name_that_is_no_text_is_written_as_an_escape(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "page.html", "a cat: " + os.fsdecode(b"cat-\xff") + ", ü")
    assert (tmp_path / "page.html").read_bytes() == "a cat: cat-\\udcff, ü".encode()


def test_a_link_to_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(CheckpointError, match=r"link is a link to nowhere, which does not exist"):
        check_place(tmp_path / "link", folder=True)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
def test_a_file_system_that_takes_no_file_is_told_early() -> None:
    with pytest.raises(CheckpointError, match="cannot write /proc/x: no file can be made in /proc"):
        check_place(Path("/proc/x"), folder=True)
