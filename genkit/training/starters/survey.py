"""A look at images before anything is trained on them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genkit.core.catalog import build
from genkit.core.errors import DataError
from genkit.core.progress import Progress
from genkit.images.image_files import ImageFiles
from genkit.images.intake import Intake
from genkit.images.listing import kinds_unread
from genkit.images.pixels import centre_square, resize, to_channels

THUMB, SHEET = 64, 48
"""Side of a small picture in pixels, and how many of them a contact sheet has."""
TINT = 6.0
"""Mean difference of the channels, of 255, from which on an image has colours."""


@dataclass(frozen=True)
class Survey:
    """Images as they are found.

    Attributes:
        name: of the set.
        spec: of the set as data, without size and channels where files are read.
        count: images that can be used.
        sides: (count,) the shorter side of each in pixels, ascending.
        colour: whether any has colours.
        classes: name -> number of images; empty without labels.
        duplicates: images that are another one again.
        rejected: files that cannot be used, with the reason.
        unread: a line on files of kinds that are not read; empty without any.
        stray: why folders are no classes, in a line; empty unless images lie beside them.
        converted: kinds of conversion with their numbers.
        sheet: some of the images, (n, 3, THUMB, THUMB) uint8.
        fixed: shape (C, H, W) of a set that comes in one; None for files, which are brought to any.
    """

    name: str
    spec: Mapping[str, Any]
    count: int
    sides: Tensor
    colour: bool
    classes: Mapping[str, int]
    duplicates: int
    rejected: Sequence[tuple[str, str]]
    converted: Mapping[str, int]
    sheet: Tensor
    fixed: tuple[int, ...] | None = None
    unread: str = ""
    stray: str = ""


def survey(named: Mapping[str, Any] | Path, progress: Progress | None = None) -> Survey:
    """Looks at every image.

    Args:
        named: a spec, or the path of a folder or zip.
        progress: called with (done, total).

    Raises:
        DataError: nothing there, nothing that can be used, or a set of points.
    """
    return _of_files(named, progress) if isinstance(named, Path) else _of_set(named)


class _Seen:
    """Small pictures of images as they come by."""

    def __init__(self) -> None:
        self.known: Counter[bytes] = Counter()
        self.colour, self.kept = False, list[Tensor]()

    def see(self, thumb: Tensor, keep: bool) -> None:
        """`thumb` is (3, THUMB, THUMB) uint8."""
        self.known[hashlib.sha256(thumb.numpy().tobytes()).digest()] += 1
        self.colour = self.colour or (thumb.float().amax(0) - thumb.float().amin(0)).mean().item() > TINT
        if keep:
            self.kept.append(thumb)

    @property
    def duplicates(self) -> int:
        return sum(n - 1 for n in self.known.values())


def _of_files(path: Path, progress: Progress | None) -> Survey:
    files, report, seen, sides = ImageFiles(path), Intake(), _Seen(), list[int]()
    every = max(1, len(files) // SHEET)
    with closing(files.prepared(_thumb, skip_bad=True, report=report)) as images:
        for k, image in enumerate(images):
            sides.append(min(image.shape[-2:]))
            seen.see(image.ready, k % every == 0 and len(seen.kept) < SHEET)
            if progress:
                progress(k + 1, len(files))
    if not sides:
        raise DataError(f"{path}: none of {len(files)} images can be used: {report.summary()}")
    bad = {name for name, _ in report.rejected}
    labels = files.labels or []
    named = Counter(files.classes[y] for y, file in zip(labels, files.names, strict=bool(labels)) if file not in bad)
    return Survey(
        files.path.resolve().name,
        {"type": "folder", "path": str(files.path.absolute())},
        len(sides),
        torch.tensor(sides).sort().values,
        seen.colour,
        {name: named[name] for name in files.classes} if labels else {},
        seen.duplicates,
        report.rejected,
        dict(report.converted),
        torch.stack(seen.kept),
        unread=kinds_unread(files.unread) if files.unread else "",
        stray=files.folders.stray,
    )


def _thumb(x: Tensor) -> Tensor:
    return to_channels(resize(centre_square(x), THUMB), 3)


def _of_set(spec: Mapping[str, Any]) -> Survey:
    data = build(spec, kind="data", where="DATA")
    if len(data.sample_shape) != 3:
        raise DataError(f"{data.name} holds points; recipes for these are shipped, see 'genkit list recipes'")
    if data.sample_shape[1] != data.sample_shape[2]:
        raise DataError(f"{data.name}: images of {list(data.sample_shape)} are not square")
    seen, some = _Seen(), torch.linspace(0, len(data) - 1, min(SHEET, len(data))).long()
    for x in data.x[some].float():
        seen.see(_thumb(x[None].to(torch.uint8))[0], keep=True)
    names = data.classes or tuple(map(str, range(data.conditions.classes)))
    counts = torch.bincount(data.labels, minlength=len(names)).tolist() if data.labels is not None else []
    return Survey(
        data.name,
        dict(spec),
        len(data),
        torch.full((len(data),), data.sample_shape[-1]),
        seen.colour,
        dict(zip(names, counts, strict=True)) if counts else {},
        len(data) - len({hashlib.sha256(x.numpy().tobytes()).digest() for x in data.x}),
        (),
        {},
        torch.stack(seen.kept),
        tuple(data.sample_shape),
    )
