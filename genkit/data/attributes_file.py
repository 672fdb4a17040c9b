"""Attributes of images in a CSV: a header, then the name of a file and what is known of it, a line each."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import torch
from torch import Tensor

from genkit.core.columns.column import Column
from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.errors import ConditionError, DataError, shown, suggest


@dataclass(frozen=True)
class Attributes:
    """Attributes of images, from a file.

    Attributes:
        rows: name -> (N,) float32 numbers, or int64 classes, of the N images that were asked for, in their order.
        columns: what each is.
        unused: how many lines are of no image.
    """

    rows: dict[str, Tensor]
    columns: dict[str, Column]
    unused: int


def read_attributes(path: Path, images: Sequence[str], columns: Mapping[str, Column] | None = None) -> Attributes:
    """The attributes of `images`, by their names.

    A column of numbers is `Values` from the least to the greatest of them, one of other texts is `Labels` with these as
    names, in the order of the alphabet; a mixture is a mistake, unless `columns` says what it is.

    Args:
        path: a CSV whose first column is the name of the file, as a path inside the folder or zip, with '/'.
        images: the names.
        columns: what some of the attributes are, where that is more than their values show: classes in another order,
            a wider range, a circle.

    Raises:
        DataError: the file cannot be read, an image has no line or two, a value is missing or does not fit, or a column
            says the same of all.
    """
    header, lines = _table(path)
    names = [_composed(name) for name in images]
    if missing := [image for image, name in zip(images, names, strict=True) if name not in lines]:
        written = f"; a line is of {next(iter(lines))}" if lines and len(missing) == len(images) else ""
        raise DataError(
            f"{path}: no line is of {missing[0]} ({len(missing):,} of {len(images):,} images are missing{written})"
        )
    if unknown := [name for name in columns or {} if name not in header]:
        raise DataError(f"{path}: no column is called {shown(unknown[0])}{suggest(unknown[0], header)}")
    found = Attributes({}, {}, len(lines) - len(set(names)))
    for at, name in enumerate(header):
        texts = [lines[image][at] for image in names]
        column = (columns or {}).get(name) or _column(path, name, texts)
        try:
            found.rows[name] = column.check(name, texts, len(texts))
        except ConditionError as misfit:
            raise DataError(f"{path}: {misfit}") from misfit
        found.columns[name] = column
    return found


def _column(path: Path, name: str, texts: Sequence[str]) -> Column:
    """The column that fits `texts`."""
    if len(set(texts)) < 2:
        raise DataError(f"{path}: {shown(name)} is {shown(texts[0])} of all images, which says nothing; leave it out")
    if others := sorted({text for text in texts if not _is_number(text)}):
        names = sorted(set(texts))
        if len(others) < len(names):
            raise DataError(
                f"{path}: {shown(name)} is a number of some images and {shown(others[0])} of others; give numbers, or "
                f"say that all are names: columns: {{{name}: {{type: labels, classes: {len(names)}, names: [...]}}}}"
            )
        return Labels(len(names), names)
    numbers = torch.tensor([float(text) for text in texts])
    low, high = numbers.min().item(), numbers.max().item()
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise DataError(f"{path}: {shown(name)} goes from {low:g} to {high:g}; its numbers must be finite and differ")
    return Values(low, high)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _table(path: Path) -> tuple[list[str], dict[str, list[str]]]:
    """The names of the attributes, and image -> its values, as texts that say something."""
    lines = _lines(path)
    header = next(lines, (1, []))[1]
    if len(header) < 2:
        raise DataError(f"{path}: needs a header, the name of the file and then of every attribute, such as file,age")
    for name in header[1:]:
        if not name or header[1:].count(name) > 1:
            raise DataError(
                f"{path}: {'a column has no name' if not name else f'two columns are called {shown(name)}'}"
            )
    found = dict[str, list[str]]()
    for number, (image, *texts) in lines:
        if len(texts) != len(header) - 1:
            raise DataError(f"{path}, line {number}: {len(texts) + 1} values under {len(header)} columns")
        key = _composed(image)
        if key in found:
            raise DataError(f"{path}, line {number}: {image} has a line already")
        for name, text in zip(header[1:], texts, strict=True):
            if text.lower() in ("", "nan"):
                raise DataError(f"{path}, line {number}: {shown(name)} of {image} is {shown(text)}; give a value")
        found[key] = texts
    return header[1:], found


def _composed(name: str) -> str:
    """One text for names that look alike: macOS writes a letter and its accent as two characters."""
    return normalize("NFC", name)


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(number, values without the space around them) of every line that is not empty."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for values in reader:
                if values:
                    yield reader.line_num, [value.strip() for value in values]
    except FileNotFoundError as failure:
        raise DataError(f"{path} does not exist") from failure
    except (OSError, UnicodeDecodeError, csv.Error) as failure:
        raise DataError(f"{path} cannot be read as CSV ({failure})") from failure
