"""A folder or zip of images from anywhere: listed in a fixed order, decoded with a report, damage named by file."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from torch import Tensor

from genkit.core.crew import ALONE, Crew
from genkit.core.errors import DataError, suggest_file
from genkit.core.files import read_regular
from genkit.core.progress import Progress
from genkit.core.usable_memory import usable_memory
from genkit.images.ahead import Claim, in_order
from genkit.images.decoding import SUFFIXES, check_content, printable, refusal
from genkit.images.grouping import Prepared
from genkit.images.intake import FITTED, Intake
from genkit.images.listing import ClassFolders, class_folders, is_image, is_unread, kinds_unread, open_zip, walk
from genkit.images.pixels import centre_square, decode, resize

MAX_FILE_BYTES = 2**28
"""256 MiB, more than the largest accepted picture needs; a zip member that claims or holds more is refused."""

AHEAD = 2**30
"""Most bytes of pictures that are being decoded or wait for their turn; one picture alone may take more."""

A_PIXEL = 16
"""Bytes that decoding takes a pixel: Pillow's picture (4), a conversion of it, the array and its reordering."""

ENLARGED = "enlarged"
"""Note on an image that was smaller than wanted."""

ADVICE = "mend or remove it, or leave such out (--skip-bad, or skip_bad: true)"

Crop = Literal["centre", "none"]
"""Cut to the middle square, or refuse what is not square."""

Finished = tuple[Tensor, tuple[str, ...]]
"""An image as it is wanted, and notes on the way to it."""

Made = tuple[Tensor, tuple[int, ...], tuple[str, ...]]
"""A decoded image, the shape (C, H, W) of its file, and the notes of its conversion."""


class DecodedFile(NamedTuple):
    """One image: its position in `ImageFiles.names` and its pixels, (C, H, W) uint8."""

    position: int
    image: Tensor


class ImageFiles:
    """The images below a folder or inside a zip, in the order of their names' code points, in any locale.

    Hidden files, macOS resource forks and files that are no images by their suffix are ignored, and so is the picture
    of all samples that `genkit sample --grid` puts beside them.

    Attributes:
        path: the folder or zip.
        names: paths inside it, with '/'.
        zips: names of zips in a folder, which are not read.
        unread: names of pictures and videos of kinds that are not read.
        folders: the classes by folder; see `genkit.images.listing.class_folders`.

    Raises:
        DataError: nothing there, no images, a damaged zip, or a zip whose members leave their folder.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._members: dict[str, zipfile.ZipInfo] = {}
        if os.path.isdir(self.path):  # unlike Path.is_dir, False for whatever cannot be a path
            found = list(walk(self.path))
        elif os.path.isfile(self.path):
            self._zip, self._members = open_zip(self.path, MAX_FILE_BYTES)
            found = list(self._members)
        else:
            near = suggest_file(self.path) or "; give a folder or a zip of images"
            there = "is no regular file" if os.path.exists(self.path) else f"does not exist{near}"
            raise DataError(f"{printable(str(self.path))} {there}")
        self.names = sorted(name for name in found if is_image(name))
        self.zips = sorted(name for name in found if name.lower().endswith(".zip"))
        self.unread = sorted(filter(is_unread, found))
        if {"grid.png", "000000.png"} <= set(self.names):
            self.names.remove("grid.png")
        if not self.names:
            kinds = ", ".join(s[1:] for s in SUFFIXES)
            inside = f"; {self.zips[0]} is not looked into, give it by itself" if self.zips else ""
            inside += f"; {kinds_unread(self.unread)}" if self.unread else ""
            raise DataError(f"{self.path} holds no images ({len(found)} other files); accepted: {kinds}{inside}")

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def folders(self) -> ClassFolders:
        return class_folders(self.names)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the class folders; empty without."""
        return self.folders.names

    @property
    def labels(self) -> list[int] | None:
        """Position in `classes` for every name; None without classes."""
        return self.folders.labels

    def select(self, names: Sequence[str]) -> ImageFiles:
        """Only `names`, in their order.

        Raises:
            DataError: naming one that is not here.
        """
        missing = sorted(set(names) - set(self.names))
        if missing or not names:
            raise DataError(f"{self.path} lacks {printable(missing[0]) if missing else 'images: none were chosen'}")
        chosen = object.__new__(ImageFiles)
        chosen.__dict__.update({k: v for k, v in self.__dict__.items() if k not in ("fingerprint", "folders")})
        chosen.names = list(names)
        return chosen

    def shown(self, index: int) -> str:
        """Name of file `index` for messages."""
        return f"{self.path}/{self.names[index]}"

    def read(self, index: int) -> bytes:
        """The bytes of file `index`.

        Raises:
            DataError: it cannot be read, is no regular file, is damaged inside the zip, or is larger than any accepted
                picture.
        """
        name = self.names[index]
        try:
            if not self._members:
                return read_regular(self.path / name, MAX_FILE_BYTES)
            with self._zip.open(self._members[name]) as file:
                return file.read(MAX_FILE_BYTES)
        except DataError as failure:
            raise refusal(self.shown(index), str(failure)) from failure
        except (OSError, zipfile.BadZipFile, EOFError, RuntimeError, ValueError) as failure:
            raise refusal(self.shown(index), f"cannot be read ({failure})") from failure
        except Exception as failure:  # each decompressor has its own error type
            raise refusal(self.shown(index), f"damaged inside the zip ({failure})") from failure

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the names and contents, the same for a folder and a zip of it."""
        total = hashlib.sha256()
        for index, name in enumerate(self.names):
            total.update(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest())
            total.update(hashlib.sha256(self._content(index)).digest())
        return total.hexdigest()

    def _content(self, index: int) -> bytes:
        """Content for the fingerprint; for a file that cannot be read, the reason."""
        try:
            return self.read(index)
        except DataError as bad:
            return f"unreadable: {self._reason(index, bad)}".encode("utf-8", "surrogateescape")

    def check(self, crew: Crew = ALONE) -> None:
        """Looks at every file and decodes none but those that may be cut short.

        Args:
            crew: processes that share the files and find the same; each of them calls this.

        Raises:
            DataError: naming the first that cannot be used, and how many there are.
        """
        mine = filter(crew.has, range(len(self)))
        bad = crew.gathered({index: str(fault) for index in mine if (fault := self._fault(index))})
        if bad:
            of_all = f" ({len(bad)} of {len(self)} files cannot be used)" if len(bad) > 1 else ""
            raise DataError(f"{bad[0]}{of_all}; {ADVICE}")

    def _fault(self, index: int) -> DataError | None:
        try:
            check_content(self.read(index), self.shown(index))
        except DataError as bad:
            return bad
        return None

    def decode_all(
        self,
        channels: int | None = None,
        size: int | None = None,
        *,
        crop: Crop = "centre",
        enlarge: bool = False,
        skip_bad: bool = False,
        report: Intake | None = None,
        progress: Progress | None = None,
    ) -> Generator[DecodedFile, None, None]:
        """Every image in order, decoded by a few threads ahead, within `AHEAD` bytes.

        Args:
            channels: 1, 3, or None to keep each file's own; see `genkit.images.pixels.decode`.
            size: cut to the middle square and reduced to size x size (antialiased). None keeps every image's own size.
            crop: with "none", `size` refuses images that are not square.
            enlarge: images smaller than `size` are enlarged, and counted in the report, in place of refused.
            skip_bad: leave files that cannot be used out and report them, instead of stopping at the first.
            report: filled in during decoding.
            progress: called with (done, total).

        Raises:
            DataError: naming the file.
        """

        def fitted(image: Tensor, name: str) -> Finished:
            return (image, ()) if size is None else _fitted(image, size, crop, enlarge, name)

        with closing(self._accepted(channels, fitted, skip_bad, report, progress)) as accepted:
            for index, (image, *_) in accepted:
                yield DecodedFile(index, image)

    def prepared(
        self, prepare: Callable[[Tensor], Tensor], *, skip_bad: bool = False, report: Intake | None = None
    ) -> Generator[Prepared, None, None]:
        """Every image, passed through `prepare` in its own size and channels: (1, C, H, W) uint8 -> (1, ...).

        The decoding threads do this, so that a large picture is freed once it has been reduced.

        Raises:
            DataError: naming the file; other errors of `prepare` pass unchanged.
        """
        with closing(
            self._accepted(None, lambda image, _: (prepare(image[None])[0], ()), skip_bad, report)
        ) as accepted:
            for index, (ready, shape, _) in accepted:
                yield Prepared(ready, shape, index)

    def _accepted(
        self,
        channels: int | None,
        finish: Callable[[Tensor, str], Finished],
        skip_bad: bool,
        report: Intake | None,
        progress: Progress | None = None,
    ) -> Generator[tuple[int, Made], None, None]:
        """Position and outcome of every image that can be used, in order; see `decode_all`."""
        report = Intake() if report is None else report

        def outcome(index: int, claim: Claim) -> Made | DataError:
            return self._outcome(index, channels, finish, claim)

        with closing(in_order(outcome, len(self), min(AHEAD, usable_memory() // 4), _bytes)) as outcomes:
            for index, made in enumerate(outcomes):
                if isinstance(made, DataError):
                    if not skip_bad:
                        raise DataError(f"{made}; {ADVICE}")
                    report.rejected.append((self.names[index], self._reason(index, made)))
                else:
                    report.accept(made[2], self.names[index])
                    yield index, made
                if progress:
                    progress(index + 1, len(self))

    def _reason(self, index: int, bad: DataError) -> str:
        return str(bad).removeprefix(f"{printable(self.shown(index))}: ")

    def _outcome(
        self, index: int, channels: int | None, finish: Callable[[Tensor, str], Finished], claim: Claim
    ) -> Made | DataError:
        name = self.shown(index)
        try:
            content = self.read(index)
            image, notes = decode(content, name, channels, lambda pixels: claim(len(content) + A_PIXEL * pixels))
            ready, more = finish(image, name)
            return ready, tuple(image.shape), (*notes, *more)
        except DataError as bad:
            return bad


def _bytes(made: Made | DataError) -> int:
    return 0 if isinstance(made, DataError) else made[0].nbytes


def _fitted(image: Tensor, size: int, crop: str, enlarge: bool, name: str) -> Finished:
    height, width = image.shape[-2:]
    small = min(height, width) < size
    if small and not enlarge:
        enlarging = f"{{type: folder, path: PATH, size: {size}, channels: {len(image)}, enlarge: true}}"
        raise refusal(
            name,
            f"{width} x {height} pixels are smaller than size {size}; choose a smaller size, or name the data as "
            f"{enlarging}",
        )
    if crop == "none" and height != width:
        raise refusal(name, f"{width} x {height} pixels are not square; choose crop: centre")
    note = ENLARGED if small else FITTED
    return resize(centre_square(image)[None], size)[0], () if height == width == size else (note,)
