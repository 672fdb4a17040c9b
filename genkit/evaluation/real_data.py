"""Data sets by name: one syntax for all commands and for Python."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genkit.core.catalog import build, check
from genkit.core.documents import Unreadable, is_spec, parse_yaml
from genkit.core.errors import DataError, kind_of, shown, suggest, suggest_file
from genkit.core.files import at_home
from genkit.core.foresight import promised_shape
from genkit.core.location import CONFIG, has_begun
from genkit.core.table import CATALOG, has


def read_name(text: str, role: str) -> dict[str, Any] | Path:
    """The data that a text names: a spec `{type: name, ...}`, or the path of a folder or zip of images.

    Args:
        text: the path of something that exists, the name of a data set with or without its split
            (`fashion_mnist/test`), or a spec as YAML.
        role: for messages.

    Raises:
        DataError: none of these.
    """
    named = find_name(text, role)
    if named is None:
        raise DataError(
            f"{role}: no file, folder or data set {shown(text)}{suggest_file(text) or suggest(text, CATALOG['data'])}"
        )
    return named


def find_name(text: str, role: str) -> dict[str, Any] | Path | None:
    """As `read_name`; None where nothing has this name."""
    if is_spec(text):
        return _written(text, role)
    text = at_home(text)
    if os.path.exists(text):
        if has_begun(Path(text)) or os.path.isfile(Path(text) / CONFIG):
            raise DataError(f"{role}: {text} is a run or weights; give images, such as those that it was trained on")
        return Path(text)
    name, _, split = text.partition("/")
    if has("data", name):
        return {"type": name} | ({"split": split} if split else {})
    if Path(text).suffix or Path(text).is_absolute():
        raise DataError(f"{role}: {text} does not exist{suggest_file(text)}")
    return None


def folder_spec(path: str | Path, size: int, channels: int, skip_bad: bool = False) -> dict[str, Any]:
    """The images of a folder or zip as data of one shape."""
    bad = {"skip_bad": True} if skip_bad else {}
    return {"type": "folder", "path": str(path), "size": size, "channels": channels, **bad}


def open_data(what: Any, sample_shape: tuple[int, ...], role: str = "the data", skip_bad: bool = False) -> Any:
    """A data set of samples of the given shape, see genkit.data.dataset.DataSet.

    Args:
        what: a data set, a spec, or an argument of `read_name`; a folder or zip of images is brought to the shape.
        sample_shape: (C, H, W) or (D,).
        role: for messages.
        skip_bad: of folders and zips, leave out files that cannot be used.

    Raises:
        DataError: none of these, or of another shape.
        RecipeError: a spec that cannot be built.
    """
    spec = check_data(what, sample_shape, role, skip_bad)
    data = what if spec is None else build(spec, kind="data", where=role)
    if not all(hasattr(data, name) for name in ("rows", "condition", "fingerprint", "sample_shape")):
        raise DataError(f"{role}: {kind_of(data)} is no data set; accepted: a data set, its name, or a folder")
    if tuple(data.sample_shape) != tuple(sample_shape):
        raise DataError(f"{role}: samples of {data.name} are {list(data.sample_shape)}, wanted {list(sample_shape)}")
    return data


def check_data(
    what: Any, sample_shape: tuple[int, ...], role: str = "the data", skip_bad: bool = False
) -> Mapping[str, Any] | None:
    """The spec of data, checked as far as possible without decoding them; None where `what` is no name and no spec.

    Arguments and errors as `open_data`.
    """
    spec = (
        _of_shape(read_name(str(what), role), sample_shape, role, skip_bad) if isinstance(what, (str, Path)) else what
    )
    if not isinstance(spec, Mapping):
        return None
    check(spec, kind="data", where=role)
    promised = promised_shape(spec)
    if promised and promised != tuple(sample_shape):
        raise DataError(
            f"{role}: samples of {spec['type']} are {list(promised)}, wanted {list(sample_shape)}"
            f"{_fitting(spec, tuple(sample_shape))}"
        )
    return spec


def _fitting(spec: Mapping[str, Any], sample_shape: tuple[int, ...]) -> str:
    """The spec, of a data set that makes its images as large as is asked for, that fits."""
    if len(sample_shape) != 3 or any(isinstance(value, Mapping) for value in spec.values()):
        return ""
    wanted = {**spec, "size": sample_shape[1], "channels": sample_shape[0]}
    if promised_shape(wanted) != sample_shape:
        return ""
    return f"; give {{{', '.join(f'{key}: {value}' for key, value in wanted.items())}}}"


def _of_shape(
    named: dict[str, Any] | Path, sample_shape: tuple[int, ...], role: str, skip_bad: bool
) -> Mapping[str, Any]:
    if isinstance(named, dict):
        return named
    if len(sample_shape) != 3 or sample_shape[1] != sample_shape[2]:
        raise DataError(f"{role}: files become square images, but samples of {list(sample_shape)} are wanted")
    return folder_spec(named, sample_shape[1], sample_shape[0], skip_bad)


def _written(text: str, role: str) -> dict[str, Any]:
    try:
        written = dict(parse_yaml(text))
    except (Unreadable, TypeError, ValueError) as damage:
        raise DataError(f"{role}: {shown(text)} is no YAML mapping; write '{{type: name, key: value}}'") from damage
    if not isinstance(written.get("type"), str):
        raise DataError(f"{role}: {shown(text)} has no type, a name of 'genkit list data': {{type: name, key: value}}")
    return written
