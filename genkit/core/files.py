"""Writing files so that a crash, a full disk or a kill leaves the old one or the new one, never half of either."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from genkit.core.errors import CheckpointError, DataError, WeightsError

LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
"""Names of `temporary_beside`."""
_HELD = set[str]()
"""Folders of which this process is the only writer."""


def at_home(path: str) -> str:
    """A path with the home folder in the place of a ~ before it, which no shell has replaced in a file or --out=~/x."""
    return os.path.expanduser(path)


def cache_folder() -> Path:
    """$GENKIT_CACHE, else ~/.cache/genkit."""
    return Path(at_home(os.environ.get("GENKIT_CACHE") or "~/.cache/genkit"))


def write_atomically(path: Path, content: bytes) -> None:
    """`content` to `path`, in one piece; raises as `being_written`."""
    with being_written(path) as file:
        file.write(content)


def write_text_atomically(path: Path, text: str) -> None:
    """Text for people to `path`, as `write_atomically`; bytes of file names that are no text are written as escapes."""
    write_atomically(path, text.encode(errors="backslashreplace"))


def temporary_beside(path: Path) -> Path:
    """A hidden name in the folder of `path` that no other process uses; `remove_leftovers` knows it."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")


@contextmanager
def being_written(path: Path) -> Iterator[BinaryIO]:
    """A file that becomes `path`, synced and in one piece, when the block ends, and vanishes when the block fails.

    While it grows it is locked, so that `remove_leftovers` can distinguish it from files of a killed process.

    Raises:
        CheckpointError: with the path, the reason and the free space.
    """
    temporary = temporary_beside(path)
    try:
        if path.exists() and not path.is_file():
            raise CheckpointError(f"cannot write {path}: it is no regular file; choose another name")
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(temporary, alone=False) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)
    except OSError as failure:
        raise cannot_write(path, failure) from failure
    finally:
        with suppress(OSError):  # it was renamed, or its folder could not be made
            temporary.unlink()


def remove_leftovers(folder: Path) -> None:
    """Deletes the temporary files that nobody writes to any more, since their writers were killed."""
    found = list[Path]()
    with suppress(OSError):  # no folder, or none that may be read
        found += folder.glob(".*.tmp")
    for path in found:
        with suppress(OSError):  # still being written: BlockingIOError
            if LEFTOVER.fullmatch(path.name) and path.is_file():
                with open(path, "rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()


@contextmanager
def only_writer(folder: Path, doing: str) -> Iterator[None]:
    """Makes `folder`, refuses a second process that would write there, and removes files left by killed ones.

    The lock ends with its process, which may take it again within the block.

    Args:
        doing: the work here, for the message, such as "training in".

    Raises:
        CheckpointError: somebody is at it already, or the folder cannot be written.
    """
    lock, real = folder / ".lock", os.path.realpath(folder)
    if real in _HELD:
        yield
        return
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(_locked(lock, alone=True))
        except BlockingIOError as busy:
            raise CheckpointError(f"another process is {doing} {folder}; wait or choose another --out") from busy
        except OSError as failure:
            raise cannot_write(folder, failure) from failure
        _HELD.add(real)
        try:
            remove_leftovers(folder)
            yield
        finally:
            _HELD.discard(real)
            with suppress(OSError):
                lock.unlink()


@contextmanager
def _locked(path: Path, *, alone: bool) -> Iterator[BinaryIO]:
    """A new file under a lock; made again where another process has removed it before the lock was taken.

    Args:
        alone: raises BlockingIOError where it is locked already, and OSError on a file system without locks.
    """
    while True:
        with open(path, "wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if alone else 0))
            except OSError:  # without locks nothing is taken for a leftover either
                if alone:
                    raise
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                yield file
                return


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """A block that processes go through one after the other, all that see `path`, which is made for it and goes again.

    Where it cannot be made, or the file system has no locks, nobody waits.
    """
    with ExitStack() as held:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(_locked(path, alone=False))
            held.callback(path.unlink, missing_ok=True)
        yield


def check_place(path: Path, *, folder: bool = False) -> None:
    """Checks that a file, or a folder, can be written at `path`, whose missing parents will be made.

    Raises:
        CheckpointError: the other kind is there, a parent is a file, or no writing is allowed.
    """
    if path.exists() and path.is_dir() != folder:
        reason = "is a file, and a folder is wanted" if folder else "is a folder; name a file in it"
        raise CheckpointError(f"cannot write {path}: it {reason}")
    if path.exists() and not (folder or path.is_file()):
        raise CheckpointError(f"cannot write {path}: it is no regular file; name another")
    nearest = next(p for p in (path, *path.absolute().parents) if os.path.lexists(p))
    if nearest.is_symlink() and not nearest.exists():
        raise CheckpointError(
            f"cannot write {path}: {nearest} is a link to {os.readlink(nearest)}, which does not exist"
        )
    if not nearest.is_dir() and nearest != path:
        raise CheckpointError(f"cannot write {path}: {nearest} is no folder")
    if not os.access(nearest, os.W_OK | (os.X_OK if nearest.is_dir() else 0)):
        raise CheckpointError(f"cannot write {path}: no permission to write to {nearest}")
    if nearest.is_dir():
        try:
            TemporaryFile(dir=nearest).close()
        except OSError as failure:  # a file system that allows all and takes none
            raise CheckpointError(f"cannot write {path}: no file can be made in {nearest}") from failure


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


def new_folder(path: str | Path) -> Path:
    """`path`, made absolute, for a folder that is yet to be written; it is not made here.

    Raises:
        CheckpointError: as `check_place`.
        WeightsError: it holds something.
    """
    folder = Path(os.path.abspath(path))
    check_place(folder, folder=True)
    if held_in(folder):
        raise WeightsError(f"{path} exists and is not empty; choose another folder")
    return folder


def held_in(folder: Path) -> list[str]:
    """Names of what lies in a folder, in their order: hidden ones aside, such as a Mac's .DS_Store; [] without one."""
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".") if folder.is_dir() else []


def check_own_folder(path: Path, own: Iterable[str]) -> None:
    """Checks that a folder holds nothing, or files and folders of these names alone.

    Raises:
        WeightsError: it holds another, which is named.
    """
    if others := [name for name in held_in(path) if name not in {*own}]:
        raise WeightsError(f"{path} holds other files, such as {others[0]}; choose another folder")


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, whose content goes to `out`, a new or empty folder, at the end; after a failure nothing does.

    Raises:
        CheckpointError: it cannot be written.
    """
    temporary = temporary_beside(out)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        out.mkdir(exist_ok=True)
        for part in temporary.iterdir():
            os.replace(part, out / part.name)
    except OSError as failure:
        raise cannot_write(out, failure) from failure
    except Exception as failure:
        if type(failure).__name__ == "SafetensorError" and "os error" in str(failure):  # it hides an OSError
            raise cannot_write(out, OSError(str(failure))) from failure
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def cannot_write(path: Path, failure: OSError) -> CheckpointError:
    """One line about a failed write: path, reason, and where a disk is full its free space."""
    existing = next((p for p in (path, *path.parents) if p.exists()), Path("/"))
    free = ""
    with suppress(OSError):
        if failure.errno in (errno.ENOSPC, errno.EDQUOT):
            free = f", {shutil.disk_usage(existing).free / 2**20:.0f} MiB free there"
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
