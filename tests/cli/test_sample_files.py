"""Samples that cannot be written are not begun."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genkit.cli.sample_files import refuse_what_cannot_fit
from genkit.core.errors import GenkitError
from tests.cli.console import refusal

GIB = 2**30


class Disk:
    f_frsize, f_bavail, f_files, f_favail = 4096, GIB // 4096, 10**6, 10**5


@pytest.fixture(autouse=True)
def disk(monkeypatch: pytest.MonkeyPatch) -> type[Disk]:
    """One GiB free, for 100,000 files."""
    monkeypatch.setattr(os, "statvfs", lambda _: Disk)
    return Disk


def test_disk(tmp_path: Path) -> None:
    refuse_what_cannot_fit(10**5, (1, 28, 28), tmp_path / "new" / "er")
    with pytest.raises(GenkitError, match=r"^-n 262,145: 1\.0 GiB of files .* has 1\.0 GiB free$"):
        refuse_what_cannot_fit(GIB // 4096 + 1, (1, 28, 28), tmp_path)
    refuse_what_cannot_fit(5000, (3, 256, 256), tmp_path)
    with pytest.raises(GenkitError, match=r"^-n 6,000: 1\.1 GiB"):
        refuse_what_cannot_fit(6000, (3, 256, 256), tmp_path)


def test_files_that_will_be_replaced_make_room(tmp_path: Path) -> None:
    with open(tmp_path / "000000.png", "wb") as file:
        os.truncate(file.fileno(), GIB)
    refuse_what_cannot_fit(6000, (3, 256, 256), tmp_path)


def test_number_of_files(tmp_path: Path) -> None:
    with pytest.raises(GenkitError, match="has room for 100,000 more files"):
        refuse_what_cannot_fit(100_001, (1, 28, 28), tmp_path)


def test_points_are_held_in_memory(tmp_path: Path, disk: type[Disk], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "f_bavail", 2**50)
    monkeypatch.setattr(os, "sysconf", lambda name: 2**15)
    refuse_what_cannot_fit(10**7, (2,), tmp_path)
    with pytest.raises(GenkitError, match=r"points are held in memory, of which there is 1\.0 GiB"):
        refuse_what_cannot_fit(2 * 10**7, (2,), tmp_path)


def test_the_command_refuses_at_once(
    points: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for weights in (points, finished):
        line = refusal(capsys, "sample", weights, "-n", 10**9, "--out", tmp_path / "out")
        assert line.startswith("-n 1,000,000,000: ") and "GiB free" in line
    assert not (tmp_path / "out").exists()
