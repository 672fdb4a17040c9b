"""Listing of the images below a folder or inside a zip, in a fixed order, with their classes by folder."""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from genkit.core.errors import DataError, some
from genkit.images.decoding import SUFFIXES, printable, refusal

WHOLE_NUMBER = re.compile("-?[0-9]{1,18}")


class ClassFolders(NamedTuple):
    """The classes of some images.

    Attributes:
        names: of the class folders: by value when all are whole numbers, else by code point; empty without classes.
        labels: position in `names` for every image; None without classes.
        stray: the reason why the folders are no classes, with advice, in one line; "" without one.
    """

    names: tuple[str, ...] = ()
    labels: list[int] | None = None
    stray: str = ""


PARTS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev"}
"""Names of folders that part a data set, and are no classes where all are such."""


def class_folders(names: Sequence[str]) -> ClassFolders:
    """The classes of images by their paths, with '/'.

    Folders that all images share are left out. If every image then still lies in a folder and there are at least two,
    these are the classes.
    """
    parents = [name.split("/")[:-1] for name in names]
    first, last = min(parents), max(parents)
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    beside = [name for name, parent in zip(names, parents, strict=True) if len(parent) == shared]
    if beside:
        rest = sorted(set(names) - set(beside))
        return ClassFolders(stray=_stray(beside, class_folders(rest)) if rest else "")
    folders = [parent[shared] for parent in parents]
    if len(set(folders)) > 1 and {name.lower() for name in folders} <= PARTS:
        parts = some(sorted(set(folders)), 3)
        return ClassFolders(
            stray=f"the folders {parts} are named like parts of a data set, so they are not taken for classes; give "
            "one of them, whose folders are classes then (or say labels: false)"
        )
    classes = sorted(set(folders), key=_by_value if all(map(WHOLE_NUMBER.fullmatch, folders)) else None)
    position = {name: label for label, name in enumerate(classes)}
    return ClassFolders(tuple(classes), [position[name] for name in folders])


def _by_value(name: str) -> tuple[int, str]:
    return int(name), name


def _stray(beside: Sequence[str], rest: ClassFolders) -> str:
    if not rest.names:
        return rest.stray
    more = f" and {len(beside) - 1} more images lie" if len(beside) > 1 else " lies"
    folders = some([printable(name) for name in rest.names[:4]], 3)
    return (
        f"{printable(beside[0])}{more} beside the folders {folders}, so these are not taken for classes; move such "
        "images into a class folder or remove them (or say labels: false)"
    )


def walk(root: Path) -> Iterator[str]:
    """Files below `root` by relative path; folders may be links, but none is entered twice."""
    seen: set[str] = set()
    for folder, inner, files in os.walk(root, onerror=_cannot_list, followlinks=True):
        inner[:] = [name for name in inner if not name.startswith(".")]
        if (real := os.path.realpath(folder)) in seen:
            inner.clear()
            continue
        seen.add(real)
        yield from (Path(folder, name).relative_to(root).as_posix() for name in files)


def first_image(root: Path) -> str:
    """An image in a folder, or in a folder of it, as those of classes lie; "" without, and where there is no folder."""
    inside = (root, *sorted(path for path in root.iterdir() if path.is_dir())) if root.is_dir() else ()
    paths = (path for folder in inside for path in folder.iterdir())
    return next((path.relative_to(root).as_posix() for path in paths if is_image(path.name)), "")


def _cannot_list(failure: OSError) -> None:
    raise DataError(f"{failure.filename} cannot be listed ({failure.strerror})") from failure


def is_image(name: str, suffixes: tuple[str, ...] = SUFFIXES) -> bool:
    """Whether `name`, with '/', is an image by its suffix and neither hidden nor a resource fork of macOS."""
    parts = name.split("/")
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return not hidden and parts[-1].lower().endswith(suffixes)


PHONES, CAMERAS = (".heic", ".heif", ".avif", ".mp4", ".mov"), (".dng", ".cr2", ".cr3", ".nef", ".arw", ".avi")
DESKS = (".jxl", ".jp2", ".svg", ".psd", ".tga", ".exr", ".mkv", ".webm")
"""Pictures and videos that people have among their images, and that are not read."""


def is_unread(name: str) -> bool:
    """Whether `name` is a picture or video of a kind that is not read."""
    return is_image(name, (*PHONES, *CAMERAS, *DESKS))


def kinds_unread(names: Sequence[str]) -> str:
    """A line on files of kinds that are not read."""
    kinds = Counter(f".{name.rpartition('.')[2].lower()}" for name in names)
    counts = ", ".join(f"{n:,} {kind}" for kind, n in kinds.most_common())
    return f"not read: {counts} ({some([printable(name) for name in names[:2]], 1)}); save pictures as JPEG or PNG"


def open_zip(path: Path, most: int) -> tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]:
    """A zip and its files by name, with '/' on every system, as `walk` gives them.

    Args:
        most: bytes that a member may unpack to.

    Raises:
        DataError: damaged, or with a member that leaves its folder, is a link, encrypted or too large.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as damage:
        raise DataError(f"{path} is not a folder and not a readable zip ({_why(path, damage)})") from damage
    names = {_checked(info, path, most): info for info in archive.infolist()}
    return archive, {name: info for name, info in names.items() if not name.endswith("/")}


def _why(path: Path, damage: Exception) -> str:
    """The fault of a file that does not open as a zip, whose list of members is at its end."""
    with suppress(OSError), path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            return "its end is missing, as after a download that broke off; fetch it again"
    return str(damage)


def _checked(info: zipfile.ZipInfo, path: Path, most: int) -> str:
    """The member's name with '/', unless it points out of the archive, is a link, is encrypted or would be too large.

    Parts that lead nowhere, as in `./a//b.png`, are left out; a folder keeps its last '/'. Nothing is ever written to
    the disk, but a zip with such a member was made to do harm.
    """
    name, shown = info.filename.replace("\\", "/"), f"{path}/{info.filename}"
    parts = [part for part in name.split("/") if part not in ("", ".")]
    drive = parts[:1] and parts[0][1:2] == ":"
    if name.startswith("/") or ".." in parts or drive or stat.S_ISLNK(info.external_attr >> 16):
        raise refusal(shown, "this member leaves the zip's folder; the zip is refused")
    if info.flag_bits & 1:
        raise refusal(shown, "encrypted; save the zip without a password")
    if info.file_size > most:
        raise refusal(shown, f"larger than {most // 2**20} MiB when unpacked")
    return "/".join(parts) + ("/" if name.endswith(("/", "/.")) or not parts else "")
