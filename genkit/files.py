"""Writing files so that a crash, a full disk or a kill leaves the old one or the new one, never half of either."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from genkit.errors import CheckpointError, DataError

LOCKED = ".locked.tmp"
"""How temporary files end that are locked while they are written."""

DAY_S = 24 * 60 * 60


def cache_folder() -> Path:
    """$GENKIT_CACHE, else ~/.cache/genkit."""
    return Path(os.environ.get("GENKIT_CACHE") or Path.home() / ".cache" / "genkit")


def write_atomically(path: Path, content: bytes) -> None:
    """`content` to `path`: a temporary file beside it, synced, then renamed.

    Raises:
        CheckpointError: with the path, the reason and the free space.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_synced(temporary, content)
        os.replace(temporary, path)
    except OSError as failure:
        with suppress(OSError):  # the folder itself may be what is missing
            temporary.unlink()
        raise cannot_write(path, failure) from failure


@contextmanager
def being_written(path: Path) -> Iterator[BinaryIO]:
    """A file that becomes `path`, synced and in one piece, when the block ends, and vanishes when the block fails.

    While it grows it is locked, so that `remove_leftovers` can tell it from what a killed process has left.

    Raises:
        CheckpointError: as `write_atomically`.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{LOCKED}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(temporary) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)
    except OSError as failure:
        raise cannot_write(path, failure) from failure
    finally:
        with suppress(OSError):  # it was renamed, or its folder could not be made
            temporary.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """A new file under a lock; made again if it was removed before the lock was taken."""
    while True:
        with open(path, "wb") as file:
            with suppress(OSError):  # a file system without locks, on which nothing is taken for a leftover either
                fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists():
                yield file
                return


def remove_leftovers(folder: Path) -> None:
    """Removes temporary files that nobody writes to any more from `folder`: unlocked ones, and all of another day."""
    found = list[Path]()
    with suppress(OSError):  # no folder, or none that may be read
        found += folder.glob(".*.tmp")
    for path in found:
        with suppress(OSError), open(path, "rb") as file:  # still being written: BlockingIOError
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.name.endswith(LOCKED) or time.time() - path.stat().st_mtime > DAY_S:
                path.unlink()


def write_synced(path: Path, content: bytes) -> None:
    """`content` to `path`, on the disk when this returns."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Makes renames inside `folder` last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cannot_write(path: Path, failure: OSError) -> CheckpointError:
    """One line about a failed write: path, reason, free space."""
    existing = next((p for p in (path, *path.parents) if p.exists()), Path("/"))
    try:
        free = f", {shutil.disk_usage(existing).free / 2**20:.0f} MiB free there"
    except OSError:
        free = ""
    return CheckpointError(f"cannot write {path}: {failure.strerror or failure}{free}")


def read_regular(path: str | Path, most: int | None = None) -> bytes:
    """The bytes of a file; pipes, devices and sockets are not even opened, since reading them may never end.

    Args:
        most: bytes that are accepted.

    Raises:
        DataError: the reason, without the name: no regular file, or larger than `most`.
        OSError: it cannot be read.
    """
    about = os.stat(path)
    if not stat.S_ISREG(about.st_mode):
        raise DataError(f"is {_kind(about.st_mode)}, not a regular file")
    if most is not None and about.st_size > most:
        raise DataError(f"larger than {most // 2**20} MiB")
    with open(path, "rb") as file:
        return file.read()


def _kind(mode: int) -> str:
    kinds = {"a folder": stat.S_ISDIR, "a pipe": stat.S_ISFIFO, "a socket": stat.S_ISSOCK}
    return next((kind for kind, holds in kinds.items() if holds(mode)), "a device")


def sha256_of_file(path: str | Path) -> str:
    """Hash of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
