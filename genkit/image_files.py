"""A folder or zip of images from anywhere: listed in a fixed order, decoded with a report, damage named by file."""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import Tensor

from genkit.decoding import SUFFIXES, printable, refusal
from genkit.errors import DataError
from genkit.images import centre_square, decode, resize

MAX_FILE_BYTES = 2**28
"""256 MiB, more than the largest accepted picture needs; a zip member that claims or holds more is refused."""

WORKERS = max(1, min(4, os.cpu_count() or 1))

PIECE = 16
"""Files that a thread decodes at a time."""

Outcome = tuple[Tensor, tuple[str, ...]] | DataError
Progress = Callable[[int, int], None]
"""(done, total)."""


class Decoded(NamedTuple):
    """One image: its position in `ImageFiles.names` and its pixels, (C, H, W) uint8."""

    position: int
    image: Tensor


@dataclass
class Intake:
    """What became of the files of a folder on their way to pixels.

    Attributes:
        accepted: how many became images.
        converted: kind of conversion (see `genkit.images.decode`) -> how many of the accepted files it touched.
        rejected: name and reason of every file that was left out.
    """

    accepted: int = 0
    converted: Counter[str] = field(default_factory=Counter)
    rejected: list[tuple[str, str]] = field(default_factory=list)

    def accept(self, notes: Sequence[str]) -> None:
        self.accepted += 1
        self.converted.update(notes)

    def summary(self) -> str:
        """One line, e.g. '98 images; converted: 3 rotated; left out: 2 (a.png: the file is empty, ...)'."""
        parts = [f"{self.accepted} images"]
        if self.converted:
            parts.append("converted: " + ", ".join(f"{n} {kind}" for kind, n in sorted(self.converted.items())))
        if self.rejected:
            name, reason = self.rejected[0]
            more = ", ..." if len(self.rejected) > 1 else ""
            parts.append(f"left out: {len(self.rejected)} ({printable(name)}: {reason}{more})")
        return "; ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rejected = [list(pair) for pair in self.rejected]
        return {"accepted": self.accepted, "converted": dict(self.converted), "rejected": rejected}


class ImageFiles:
    """The images below a folder or inside a zip, in the order of their names' code points, whatever the locale.

    Hidden files, macOS resource forks and files that are no images by their suffix are ignored, and so is the picture
    of all samples that `genkit sample --grid` puts beside them. The folders that all
    images share are left out of `classes`: when every image then lies in a folder and there are at least two of these,
    they are the classes.

    Attributes:
        path: the folder or zip.
        names: paths inside it, with '/'.
        classes: names of the class folders, sorted; empty without.
        labels: position in `classes` for every name; None without classes.

    Raises:
        DataError: nothing there, no images, a damaged zip, or a zip whose members leave their folder.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._members: dict[str, zipfile.ZipInfo] = {}
        if os.path.isdir(self.path):  # unlike Path.is_dir, False for whatever cannot be a path
            found = list(_walk(self.path))
        elif os.path.isfile(self.path):
            self._zip = _open_zip(self.path)
            self._members = {info.filename: _checked(info, self.path) for info in self._zip.infolist()}
            found = [name for name, info in self._members.items() if not info.is_dir()]
        else:
            raise DataError(f"{printable(str(self.path))} does not exist; give a folder or a zip of images")
        self.names = sorted(name for name in found if _is_image(name))
        if {"grid.png", "000000.png"} <= set(self.names):
            self.names.remove("grid.png")
        if not self.names:
            kinds = ", ".join(s[1:] for s in SUFFIXES)
            raise DataError(f"{self.path} holds no images ({len(found)} other files); accepted: {kinds}")
        self.classes, self.labels = _classes(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def select(self, names: Sequence[str]) -> ImageFiles:
        """Only `names`, in their order.

        Raises:
            DataError: naming one that is not here.
        """
        missing = sorted(set(names) - set(self.names))
        if missing or not names:
            raise DataError(f"{self.path} lacks {printable(missing[0]) if missing else 'images: none were chosen'}")
        chosen = object.__new__(ImageFiles)
        chosen.__dict__.update({k: v for k, v in self.__dict__.items() if k != "fingerprint"})
        chosen.names = list(names)
        chosen.classes, chosen.labels = _classes(chosen.names)
        return chosen

    def shown(self, index: int) -> str:
        """Name of file `index` for messages."""
        return f"{self.path}/{self.names[index]}"

    def read(self, index: int) -> bytes:
        """The bytes of file `index`.

        Raises:
            DataError: it cannot be read, is damaged inside the zip, or is larger than any accepted picture.
        """
        name = self.names[index]
        try:
            if not self._members:
                return _bounded(self.path / name, self.shown(index))
            with self._zip.open(self._members[name]) as file:
                return file.read(MAX_FILE_BYTES)
        except (OSError, zipfile.BadZipFile, EOFError, RuntimeError, ValueError) as failure:
            if isinstance(failure, DataError):
                raise
            raise refusal(self.shown(index), f"cannot be read ({failure})") from failure
        except Exception as failure:  # each decompressor has its own error type
            raise refusal(self.shown(index), f"damaged inside the zip ({failure})") from failure

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the names and contents, the same for a folder and a zip of it."""
        total = hashlib.sha256()
        for index, name in enumerate(self.names):
            total.update(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest())
            total.update(hashlib.sha256(self.read(index)).digest())
        return total.hexdigest()

    def decode_all(
        self,
        channels: int | None = None,
        size: int | None = None,
        *,
        crop: Literal["centre", "none"] = "centre",
        on_bad: Literal["error", "skip"] = "error",
        report: Intake | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Decoded]:
        """Every image in order, decoded by a few threads, at most a few dozen ahead.

        Args:
            channels: 1, 3, or None to keep each file's own; see `genkit.images.decode`.
            size: cut to the middle square and reduced to size x size (antialiased); files smaller than that are
                refused. None keeps every image's own size.
            crop: with "none", `size` refuses images that are not square.
            on_bad: "error" stops at the first file that cannot be used, "skip" leaves it out and reports it.
            report: filled on the way.

        Raises:
            DataError: naming the file.
        """
        report = Intake() if report is None else report
        outcomes = self._outcomes(lambda index: self._outcome(index, channels, size, crop))
        for index, outcome in enumerate(outcomes):
            if isinstance(outcome, DataError):
                if on_bad == "error":
                    raise DataError(f"{outcome}; mend or remove it, or leave such files out with on_bad: skip")
                reason = str(outcome).removeprefix(f"{printable(self.shown(index))}: ")
                report.rejected.append((self.names[index], reason))
            else:
                report.accept(outcome[1])
                yield Decoded(index, outcome[0])
            if progress:
                progress(index + 1, len(self))

    def _outcome(self, index: int, channels: int | None, size: int | None, crop: str) -> Outcome:
        try:
            image, notes = decode(self.read(index), self.shown(index), channels)
            return (image if size is None else _fitted(image, size, crop, self.shown(index))), notes
        except DataError as bad:
            return bad

    def _outcomes(self, decoded: Callable[[int], Outcome]) -> Iterator[Outcome]:
        """decoded(0), decoded(1), ... by a few threads, in pieces, since a task costs as much as a small image."""
        pieces = iter(range(0, len(self), PIECE))
        pool = ThreadPoolExecutor(WORKERS)

        def submit(start: int) -> Future[list[Outcome]]:
            return pool.submit(lambda: [decoded(i) for i in range(start, min(start + PIECE, len(self)))])

        try:
            ahead = deque(submit(start) for start in islice(pieces, 2 * WORKERS))
            while ahead:
                yield from ahead.popleft().result()
                ahead.extend(submit(start) for start in islice(pieces, 1))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # large pictures take seconds each


def _fitted(image: Tensor, size: int, crop: str, name: str) -> Tensor:
    height, width = image.shape[-2:]
    if min(height, width) < size:
        raise refusal(name, f"{width} x {height} pixels are smaller than size {size}; choose a smaller size")
    if crop == "none" and height != width:
        raise refusal(name, f"{width} x {height} pixels are not square; choose crop: centre")
    return resize(centre_square(image)[None], size)[0]


def _walk(root: Path) -> Iterator[str]:
    """Files below `root` by relative path; folders may be links, but none is entered twice."""
    seen: set[str] = set()
    for folder, inner, files in os.walk(root, onerror=_cannot_list, followlinks=True):
        inner[:] = [name for name in inner if not name.startswith(".")]
        if (real := os.path.realpath(folder)) in seen:
            inner.clear()
            continue
        seen.add(real)
        yield from (Path(folder, name).relative_to(root).as_posix() for name in files)


def _cannot_list(failure: OSError) -> None:
    raise DataError(f"{failure.filename} cannot be listed ({failure.strerror})") from failure


def _is_image(name: str) -> bool:
    parts = name.split("/")
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return not hidden and parts[-1].lower().endswith(SUFFIXES)


def _classes(names: Sequence[str]) -> tuple[tuple[str, ...], list[int] | None]:
    parents = [name.split("/")[:-1] for name in names]
    first, last = min(parents), max(parents)
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    if any(len(parent) == shared for parent in parents):
        return (), None
    folders = [parent[shared] for parent in parents]
    classes = sorted(set(folders))
    position = {name: label for label, name in enumerate(classes)}
    return tuple(classes), [position[name] for name in folders]


def _bounded(path: Path, name: str) -> bytes:
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
            raise refusal(name, f"larger than {MAX_FILE_BYTES // 2**20} MiB")
        return file.read()


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as damage:
        raise DataError(f"{path} is not a folder and not a readable zip ({damage})") from damage


def _checked(info: zipfile.ZipInfo, path: Path) -> zipfile.ZipInfo:
    """`info`, unless it points out of the archive, is a link, is encrypted or would be too large.

    Nothing is ever written to the disk, but a zip with such a member was made to do harm.
    """
    name = info.filename
    shown = f"{path}/{name}"
    leaves = name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or name[1:2] == ":"
    if leaves or stat.S_ISLNK(info.external_attr >> 16):
        raise refusal(shown, "this member leaves the zip's folder; the zip is refused")
    if info.flag_bits & 1:
        raise refusal(shown, "encrypted; save the zip without a password")
    if info.file_size > MAX_FILE_BYTES:
        raise refusal(shown, f"larger than {MAX_FILE_BYTES // 2**20} MiB when unpacked")
    return info
