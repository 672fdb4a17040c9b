"""Writing files so that a crash, a full disk or a kill leaves the old one or the new one, never half of either."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from genkit.errors import CheckpointError


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
        if path.exists() and not path.is_file():
            raise CheckpointError(f"cannot write {path}: it is no regular file; choose another name")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_synced(temporary, content)
        os.replace(temporary, path)
    except OSError as failure:
        with suppress(OSError):  # the folder itself may be what is missing
            temporary.unlink()
        raise cannot_write(path, failure) from failure


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


def sha256_of_file(path: str | Path) -> str:
    """Hash of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
