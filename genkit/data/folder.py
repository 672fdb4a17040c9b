"""A folder or zip of images as a data set; class folders become labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field

from genkit.core.errors import DataError
from genkit.core.progress import Progress
from genkit.data.dataset import DataSet
from genkit.data.storage import decode_files
from genkit.images.image_files import Crop, ImageFiles, OnBad


def folder(
    path: Path,
    size: Annotated[int, Field(ge=1, le=4096)],
    channels: Literal[1, 3] = 3,
    labels: bool = True,
    crop: Crop = "centre",
    on_bad: OnBad = "error",
    *,
    progress: Progress | None = None,
) -> DataSet:
    """The images below a folder or in a zip, size x size. How each file is read: `genkit.images.pixels.decode`.

    Args:
        path: the folder or zip.
        size: images are cut to their middle square and reduced to this with an antialiased filter; smaller ones are
            refused by name.
        channels: grey files are replicated for 3; colour files become their luminance for 1. Both are counted in the
            report.
        labels: class folders become labels, in the order of their names; of their values when all are whole numbers.
        crop: "none" refuses images that are not square.
        on_bad: "error" stops at the first file that cannot be used; "skip" leaves such files out and reports them.
        progress: called with (done, total) while decoding.

    Raises:
        DataError: naming the file or folder.
    """
    files = ImageFiles(path)
    if size < 1 or channels not in (1, 3):
        raise DataError(f"{path}: size must be at least 1 and channels 1 or 3, got {size} and {channels}")
    pixels = decode_files(files, size, channels, crop=crop, on_bad=on_bad, progress=progress)
    name, rows = files.path.resolve().name, tuple(files.names[i] for i in pixels.kept.tolist())
    if not labels or files.labels is None:
        stray = files.folders.stray if labels else ""
        return DataSet(name, pixels.x, report=pixels.report, unlabelled=stray, files=rows)
    return DataSet(name, pixels.x, torch.tensor(files.labels)[pixels.kept], files.classes, pixels.report, files=rows)
