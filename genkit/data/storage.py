"""Where data sets lie: folders for downloads and caches, and pixels in memory or, when too large, in a mapped file.

A set that needs over a quarter of the machine's memory is decoded once into `$GENKIT_CACHE/pixels/<key>.u8` (default
~/.cache/genkit), raw uint8 rows, and mapped from there. The key is a hash of the files' contents and the options; the
`<key>.json` beside it is written last, so a file without it is not finished. All of it may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from genkit.errors import DataError
from genkit.files import cache_folder, cannot_write, write_atomically
from genkit.image_files import ImageFiles, Intake, Progress
from genkit.images import resize, to_channels
from genkit.interruption import beside

Crop = Literal["centre", "none"]
OnBad = Literal["error", "skip"]


def data_root(root: Path | None) -> Path:
    """Where downloaded sets lie: `root`, else $GENKIT_DATA, else `data` in the cache folder."""
    return root or Path(os.environ.get("GENKIT_DATA") or cache_folder() / "data")


def memory_limit() -> int:
    """Bytes of pixels that are kept in memory: a quarter of the machine's."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4
    except (AttributeError, ValueError, OSError):  # not on this system
        return 2**31


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
class Pixels:
    """Decoded files.

    Attributes:
        x: (N, C, size, size) uint8.
        kept: which of the files the rows are, (N,) int64.
        report: the intake.
    """

    x: Tensor
    kept: Tensor
    report: Intake


def decode_files(
    files: ImageFiles,
    size: int,
    channels: int,
    *,
    crop: Crop = "centre",
    on_bad: OnBad = "error",
    progress: Progress | None = None,
) -> Pixels:
    """Every image of `files` as one tensor, in memory or mapped; arguments as in `ImageFiles.decode_all`.

    Raises:
        DataError: naming the file that cannot be used, or saying that none can.
        CheckpointError: the cache folder cannot be written.
    """
    job = _Job(files, size, channels, crop, on_bad)
    if len(files) * math.prod(job.shape) <= memory_limit():
        return job.in_memory(progress)
    base = cache_folder() / "pixels" / job.key()
    if not base.with_suffix(".json").is_file():
        job.to_disk(base, progress)
    return job.mapped(base)


@dataclass(frozen=True)
class _Job:
    files: ImageFiles
    size: int
    channels: int
    crop: Crop
    on_bad: OnBad

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.channels, self.size, self.size)

    def key(self) -> str:
        options = json.dumps([1, self.files.fingerprint, self.size, self.channels, self.crop, self.on_bad])
        return hashlib.sha256(options.encode()).hexdigest()

    def in_memory(self, progress: Progress | None) -> Pixels:
        x, kept, report = torch.empty(len(self.files), *self.shape, dtype=torch.uint8), list[int](), Intake()
        for position, image in self.files.decode_all(
            self.channels, self.size, crop=self.crop, on_bad=self.on_bad, report=report, progress=progress
        ):
            x[len(kept)] = image
            kept.append(position)
        self._refuse_nothing(kept, report)
        return Pixels(x[: len(kept)], torch.tensor(kept), report)

    def to_disk(self, base: Path, progress: Progress | None) -> None:
        """Written, never mapped, while it grows: a full disk is then an error and not a signal."""
        temporary, kept, report = base.with_name(f".{base.name}.{uuid.uuid4().hex[:8]}.tmp"), list[int](), Intake()
        images = self.files.decode_all(
            self.channels, self.size, crop=self.crop, on_bad=self.on_bad, report=report, progress=progress
        )
        try:
            base.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as file:
                for position, image in images:
                    file.write(image.contiguous().numpy().data)
                    kept.append(position)
            self._refuse_nothing(kept, report)
            os.replace(temporary, base.with_suffix(".u8"))
        except OSError as failure:
            raise cannot_write(base.with_suffix(".u8"), failure) from failure
        finally:
            with suppress(OSError):  # it was renamed, or its folder could not be made
                temporary.unlink()
        about = {"shape": [len(kept), *self.shape], "kept": kept, "report": report.as_dict()}
        write_atomically(base.with_suffix(".json"), json.dumps(about).encode())

    def mapped(self, base: Path) -> Pixels:
        path = base.with_suffix(".u8")
        about = json.loads(base.with_suffix(".json").read_bytes())
        shape, report = about["shape"], about["report"]
        if not path.is_file() or path.stat().st_size != math.prod(shape):
            raise DataError(f"{path} is not what {base.name}.json says; delete both and start again")
        x = torch.from_file(str(path), shared=False, size=math.prod(shape), dtype=torch.uint8).view(shape)
        rejected = [(name, reason) for name, reason in report["rejected"]]
        return Pixels(
            x, torch.tensor(about["kept"]), Intake(report["accepted"], Counter(report["converted"]), rejected)
        )

    def _refuse_nothing(self, kept: list[int], report: Intake) -> None:
        if not kept:
            raise DataError(f"{self.files.path}: none of {len(self.files)} images can be used: {report.summary()}")
