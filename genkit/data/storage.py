"""Storage of data sets: folders for downloads and caches, and pixels in memory or, when too large, in a mapped file.

A set of files is decoded once into `$GENKIT_CACHE/pixels/<key>.u8` (default ~/.cache/genkit), raw uint8 rows. One that
needs over a quarter of the memory that may be used is mapped from there, any other is read. Of processes that want it
at the same time, on any machines that see this disk, one decodes and the others wait for it. The key is a hash of the
files' contents and the options; the `<key>.json` beside it is written last, so a file without it is not finished.
Damaged files are made again, those of killed processes removed, and all of them may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from genkit.core.errors import CheckpointError, DataError
from genkit.core.files import at_home, being_written, cache_folder, in_turn, remove_leftovers, write_atomically
from genkit.core.interruption import beside
from genkit.core.progress import Progress
from genkit.core.usable_memory import usable_memory
from genkit.images.image_files import Crop, ImageFiles
from genkit.images.intake import Intake
from genkit.images.pixels import resize, to_channels


def data_root(root: Path | None) -> Path:
    """Folder of downloaded sets: `root`, else $GENKIT_DATA, else `data` in the cache folder."""
    given = os.environ.get("GENKIT_DATA")
    return root or (Path(at_home(given)) if given else cache_folder() / "data")


def memory_limit() -> int:
    """Bytes of pixels that this process keeps in memory: a quarter of what the processes of a launch here may use
    together."""
    return usable_memory() // (4 * int(os.environ.get("LOCAL_WORLD_SIZE", 1)))


def in_size(x: Tensor, size: int, channels: int, name: str) -> Tensor:
    """(N, C, H, W) uint8 -> (N, channels, size, size) uint8, resized and not padded.

    Raises:
        DataError: the result would not fit in memory.
    """
    needed = len(x) * channels * size * size
    if needed > memory_limit():
        gib = needed / 2**30
        raise DataError(f"{name}: {len(x)} images of size {size} need {gib:.0f} GiB of memory; choose a smaller size")
    return to_channels(beside(lambda: resize(x, size)), channels)


@dataclass(frozen=True)
class DecodedPixels:
    """Decoded files.

    Attributes:
        x: (N, C, size, size) uint8.
        kept: numbers of the files that became rows, (N,) int64.
        report: the intake.
        mapped: whether x lies in a file.
    """

    x: Tensor
    kept: Tensor
    report: Intake
    mapped: bool = False


def decode_files(
    files: ImageFiles,
    size: int,
    channels: int,
    *,
    crop: Crop = "centre",
    enlarge: bool = False,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> DecodedPixels:
    """Every image of `files` as one tensor, in memory or mapped; arguments as in `ImageFiles.decode_all`.

    Raises:
        DataError: naming the file that cannot be used, or saying that none can.
        CheckpointError: the cache folder cannot be written, and the set is too large to do without.
    """
    job = _Job(files, size, channels, crop, enlarge, skip_bad)
    small = len(files) * math.prod(job.shape) <= memory_limit()
    base = cache_folder() / "pixels" / job.key()
    remove_leftovers(base.parent)
    if found := job.kept_before(base, small):
        return found
    with in_turn(base.with_suffix(".lock")):
        if found := job.kept_before(base, small):
            return found
        if small:
            return job.in_memory(base, progress)
        job.to_disk(base, progress)
        found = job.kept_before(base, small)
    if found is None:
        raise DataError(f"{base.with_suffix('.u8')} was written just now and cannot be read; is the disk sound?")
    return found


@dataclass(frozen=True)
class _Job:
    files: ImageFiles
    size: int
    channels: int
    crop: Crop
    enlarge: bool
    skip_bad: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.channels, self.size, self.size)

    def key(self) -> str:
        options = json.dumps(
            [5, self.files.fingerprint, self.size, self.channels, self.crop, self.enlarge, self.skip_bad]
        )
        return hashlib.sha256(options.encode()).hexdigest()

    def images(self, kept: list[int], report: Intake, progress: Progress | None) -> Iterator[Tensor]:
        """The images that can be used; fills `kept` and `report` on the way."""
        decoded = self.files.decode_all(
            self.channels,
            self.size,
            crop=self.crop,
            enlarge=self.enlarge,
            skip_bad=self.skip_bad,
            report=report,
            progress=progress,
        )
        with closing(decoded):
            for position, image in decoded:
                kept.append(position)
                yield image
        if not kept:
            raise DataError(f"{self.files.path}: none of {len(self.files)} images can be used: {report.summary()}")

    def in_memory(self, base: Path, progress: Progress | None) -> DecodedPixels:
        x, kept, report = torch.empty(len(self.files), *self.shape, dtype=torch.uint8), list[int](), Intake()
        for row, image in enumerate(self.images(kept, report, progress)):
            x[row] = image
        x = x[: len(kept)]
        try:
            with being_written(base.with_suffix(".u8")) as file:
                file.write(x.numpy().data)
            self._conclude(base, kept, report)
        except CheckpointError as failure:
            report.remarks.append(f"the decoded images are not kept for the next start: {failure}")
        return DecodedPixels(x, torch.tensor(kept), report)

    def to_disk(self, base: Path, progress: Progress | None) -> None:
        """Written, never mapped, while it grows: a full disk is then an error and not a signal."""
        kept, report = list[int](), Intake()
        with being_written(base.with_suffix(".u8")) as file:
            for image in self.images(kept, report, progress):
                file.write(image.contiguous().numpy().data)
        self._conclude(base, kept, report)

    def _conclude(self, base: Path, kept: list[int], report: Intake) -> None:
        about = {"shape": [len(kept), *self.shape], "kept": kept, "report": {**report.as_dict(), "notes": report.notes}}
        write_atomically(base.with_suffix(".json"), json.dumps(about).encode())

    def kept_before(self, base: Path, small: bool) -> DecodedPixels | None:
        """Pixels decoded by an earlier start; None when there are none, or not whole ones."""
        try:
            about = json.loads(base.with_suffix(".json").read_bytes())
            shape, kept, report = about["shape"], torch.tensor(about["kept"]), Intake.from_dict(about["report"])
            with open(base.with_suffix(".u8"), "rb") as file:
                if os.fstat(file.fileno()).st_size != math.prod(shape) or shape != [len(kept), *self.shape]:
                    return None
                x = (_read if small else _mapped)(file, math.prod(shape)).view(shape)
                return DecodedPixels(x, kept, report, not small)
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _read(file: BinaryIO, size: int) -> Tensor:
    x = torch.empty(size, dtype=torch.uint8)
    buffer: Any = x.numpy()
    if file.readinto(buffer.data) != size:  # type: ignore[attr-defined]
        raise ValueError("the file has become shorter")
    return x


def _mapped(file: BinaryIO, size: int) -> Tensor:
    """Pages are private and not reserved: writing to the tensor leaves the file alone, and the set may exceed the
    memory of the machine."""
    flags = mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", 0)
    return torch.frombuffer(
        mmap.mmap(file.fileno(), size, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE), dtype=torch.uint8
    )
