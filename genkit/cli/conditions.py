"""The conditions of genkit sample: --label, and --condition NAME=VALUE of classes, numbers and images in files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import lcm
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genkit.cli.given_images import content
from genkit.core.columns.column import FREE
from genkit.core.errors import ConditionError, DataError, GenkitError, suggest_file

if TYPE_CHECKING:
    from torch import Tensor

    from genkit.core.columns.images import Images
    from genkit.core.condition import ConditionSpace
    from genkit.core.generator import Generator

OTHER_NAMES = {"class": "label"}
WIDEST = 16
"""Columns of a picture of values in turn, at most."""


@dataclass
class AskedConditions:
    """The conditions of all samples.

    Attributes:
        rows: name -> a row a sample, checked.
        words: a description of each, for the line about the result: "label 2: coat", "hue 0.6", "low_res of photo.png".
        files: that were read, by the option that names them.
        turn: samples after which the values that are taken in turn begin anew; 1 where all samples have the same.
    """

    rows: dict[str, Tensor] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    turn: int = 1

    @property
    def columns(self) -> int | None:
        """Of a picture each of whose columns is of one value; None where that is no matter, or too wide."""
        from genkit.core.columns.labels import columns_each

        return self.turn * columns_each(self.turn) if 1 < self.turn <= WIDEST else None


def asked(generator: Generator, label: str | None, given: Sequence[str], n: int) -> AskedConditions:
    """The conditions that --label and every --condition give.

    Raises:
        ConditionError: an option that `generator` does not take, or one that it needs is missing; begins with its name.
        DataError: a file that is no image.
        GenkitError: no NAME=VALUE, or a name twice.
    """
    options = [] if label is None else [("label", label, f"--label {label}")]
    options += [(*_parts(text), f"--condition {text}") for text in given]
    found = AskedConditions()
    for name, value, option in options:
        if name in found.rows:
            raise GenkitError(f"{option}: {name} is given twice")
        try:
            _take(found, generator.conditions, name, value, n, option)
        except ConditionError as misfit:
            raise ConditionError(f"{option}: {misfit}") from misfit
    for name, column in generator.conditions.items():
        if not column.drawable and name not in found.rows:
            raise ConditionError(f"--condition {name}=FILE, or a folder or zip, must be given: {column.about}")
    return found


def _parts(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise GenkitError(
            f"--condition takes NAME=VALUE, such as label=3, hue=0.6 or low_res=photo.png; got {text!r:.60}"
        )
    return OTHER_NAMES.get(name, name), value


def _take(found: AskedConditions, conditions: ConditionSpace, name: str, value: str, n: int, option: str) -> None:
    from genkit.core.columns.images import Images
    from genkit.core.columns.labels import Labels

    column = conditions.get(name)
    if isinstance(column, Images):
        found.files[option] = Path(value)
        given = read_images(Path(value), column, n)
        found.turn = lcm(found.turn, len(given))
        found.rows |= conditions.check({name: repeated(given, n)}, n)
        found.words.append(f"{name} of {value}")
        return
    found.rows |= conditions.check({name: value}, n)
    if (asked := len(conditions[name].listed(value))) > n:
        raise ConditionError(f"{asked} values for {n} sample{'s'[: n - 1]}; take -n {asked} or more, or name fewer")
    found.turn = lcm(found.turn, asked)
    if not isinstance(column, Labels):
        found.words.append(f"{name} {value}")
    elif column.names:
        numbers = dict.fromkeys(found.rows[name].tolist())
        each = (_called(column.names, k) for k in numbers)
        found.words.append(f"{name} {', '.join(each)}")


def _called(names: Sequence[str], k: int) -> str:
    return FREE if k < 0 else str(k) if names[k] == str(k) else f"{k}: {names[k]}"


def repeated(images: Tensor, n: int) -> Tensor:
    """The images repeated in order up to n rows; a single one is expanded without copying it."""
    import torch

    if len(images) == 1:
        return images
    return images[torch.arange(n) % len(images)]


def read_images(path: Path, column: Images, most: int) -> Tensor:
    """The image in a file, or the first `most` of a folder or zip by name: (files, C, H, W) in [-1, 1].

    Raises:
        DataError: naming a file that is no image of the column's size and colour.
    """
    import torch

    from genkit.images.pixels import from_uint8

    return from_uint8(torch.stack([_fitting(image, name, column) for image, name in _read(path, most)]))


def _fitting(image: Tensor, name: str, column: Images) -> Tensor:
    if tuple(image.shape) != column.shape:
        channels, height, width = image.shape
        kind = {1: "grey", 3: "in colour"}[channels]
        raise DataError(f"{name} is {width} x {height} pixels and {kind}; give {column.about}: nothing is resized here")
    return image


def _read(path: Path, most: int) -> Iterator[tuple[Tensor, str]]:
    from genkit.images.image_files import ImageFiles
    from genkit.images.pixels import decode

    if path.is_dir() or path.suffix.lower() == ".zip":
        files = ImageFiles(path)
        for index, name in enumerate(map(files.shown, range(min(most, len(files))))):
            yield decode(files.read(index), name)[0], name
        return
    if not path.exists():
        near = suggest_file(path) or "; give an image file, or a folder or zip of images"
        raise DataError(f"{path} does not exist{near}")
    image, notes = decode(content(path), str(path))
    if notes:
        click.echo(f"{path}: converted: {', '.join(notes)}")
    yield image, str(path)
