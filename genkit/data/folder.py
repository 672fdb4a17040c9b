"""A folder or zip of images as a data set; class folders become labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from genkit.core.columns.column import Column
from genkit.core.columns.labels import Labels
from genkit.core.errors import DataError
from genkit.core.progress import Progress
from genkit.data.attributes_file import Attributes, read_attributes
from genkit.data.dataset import DataSet
from genkit.data.storage import decode_files
from genkit.images.image_files import Crop, ImageFiles
from genkit.images.listing import kinds_unread

LABEL = "label"
"""The attribute that is the class of an image."""


def folder(
    path: Path,
    size: Annotated[int, Field(ge=1, le=4096)],
    channels: Literal[1, 3] = 3,
    labels: bool = True,
    crop: Crop = "centre",
    enlarge: bool = False,
    skip_bad: bool = False,
    attributes: Path | None = None,
    columns: Mapping[str, Column] | None = None,
    *,
    progress: Progress | None = None,
) -> DataSet:
    """The images below a folder or in a zip, size x size. How each file is read: `genkit.images.pixels.decode`.

    Args:
        path: the folder or zip.
        size: images are cut to their middle square and reduced to this with an antialiased filter.
        channels: grey files are replicated for 3; colour files become their luminance for 1. Both are counted in the
            report.
        labels: class folders become labels, in the order of their names; of their values when all are whole numbers.
        crop: "none" refuses images that are not square.
        enlarge: images smaller than `size` are enlarged, and counted in the report; without, they are refused by name.
        skip_bad: leave files that cannot be used out and report them, instead of stopping at the first.
        attributes: a CSV of what is known of every image, its first column their names as paths inside `path`. Numbers
            become values, texts classes; a column called label becomes the labels, in place of those of folders.
        columns: what some of these are, where that is more than the file shows, e.g. that a hue lies on a circle.
        progress: called with (done, total) while decoding.

    Raises:
        DataError: naming the file or folder.
    """
    files = ImageFiles(path)
    if size < 1 or channels not in (1, 3):
        raise DataError(f"{path}: size must be at least 1 and channels 1 or 3, got {size} and {channels}")
    if columns and not attributes:
        raise DataError("folder: columns say what attributes are, and there are none; give attributes: FILE.csv")
    known = read_attributes(attributes, files.names, columns) if attributes else Attributes({}, {}, 0)
    pixels = decode_files(files, size, channels, crop=crop, enlarge=enlarge, skip_bad=skip_bad, progress=progress)
    name, rows = files.path.resolve().name, tuple(files.names[i] for i in pixels.kept.tolist())
    if files.zips:
        pixels.report.remarks.append(f"{files.zips[0]} is not looked into: give a zip by itself, or unpack it")
    if files.unread:
        pixels.report.remarks.append(kinds_unread(files.unread))
    pixels.report.unread = files.unread
    if known.unused:
        pixels.report.remarks.append(f"{attributes}: {known.unused:,} lines are of no image")
    y, classes, stray = _labels(files, known) if labels else (None, (), "")
    return DataSet(
        name,
        pixels.x,
        None if y is None else y[pixels.kept],
        classes,
        pixels.report,
        stray,
        files=rows,
        attributes={name: values[pixels.kept] for name, values in known.rows.items() if name != LABEL},
        columns={name: column for name, column in known.columns.items() if name != LABEL},
        mapped=pixels.mapped,
    )


def _labels(files: ImageFiles, known: Attributes) -> tuple[Tensor | None, tuple[str, ...], str]:
    """The class of every file, the names of the classes, and why there are none where one could expect them."""
    if column := known.columns.get(LABEL):
        if not isinstance(column, Labels):
            raise DataError(
                "folder: the attribute label has numbers; give names, or columns: {label: {type: labels, ...}}"
            )
        return known.rows[LABEL], column.names, ""
    if files.labels is None:
        return None, (), files.folders.stray
    return torch.tensor(files.labels), files.classes, ""
