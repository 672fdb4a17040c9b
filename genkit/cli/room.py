"""Checks that samples will fit on the disk and in memory, before hours of work."""

from __future__ import annotations

import math
import os
from pathlib import Path

from genkit.core.errors import GenkitError
from genkit.core.usable_memory import usable_memory

POINT_FILE, POINT_MEMORY = 24, 40
"""Bytes that a coordinate takes at most as binary and text, on the disk and while the files are made."""
PNG_HEADER, DEFLATE = 100, 1.001


def refuse_what_cannot_fit(n: int, sample_shape: tuple[int, ...], out: Path) -> None:
    """Checks that n samples can be written below `out`, which need not exist.

    Raises:
        GenkitError: with what they may take and what there is.
    """
    place = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    disk = os.statvfs(place)
    points = len(sample_shape) == 1
    block = disk.f_frsize
    needed = n * (POINT_FILE * sample_shape[0] if points else -(-_png(*sample_shape) // block) * block)
    free = disk.f_bavail * block + sum(p.stat().st_size for p in out.glob("*.png"))
    if needed > free:
        raise GenkitError(f"-n {n:,}: {_size(needed)} of files may come of it, and {place} has {_size(free)} free")
    if not points and disk.f_files and n > disk.f_favail + sum(1 for _ in out.glob("*.png")):
        raise GenkitError(f"-n {n:,}: {place} has room for {disk.f_favail:,} more files")
    if points and n * POINT_MEMORY * sample_shape[0] > (memory := usable_memory()):
        raise GenkitError(f"-n {n:,}: points are held in memory, of which there is {_size(memory)}; ask for fewer")


def _png(channels: int, height: int, width: int) -> int:
    """Bytes of a picture that cannot be compressed."""
    return math.ceil(DEFLATE * height * (channels * width + 1)) + PNG_HEADER


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB"
