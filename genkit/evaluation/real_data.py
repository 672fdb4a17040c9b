"""Real data as a data set, whatever it was named by: rows that keep their numbers and their labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genkit.core.catalog import CATALOG, build, check, has
from genkit.core.documents import Unreadable, parse_yaml
from genkit.core.errors import DataError, shown, suggest
from genkit.core.foresight import promised_shape


def open_data(what: Any, sample_shape: tuple[int, ...], role: str = "the data") -> Any:
    """A data set of samples of the given shape, see genkit.data.dataset.DataSet.

    Args:
        what: a data set, a spec, as a mapping or as its YAML text `{type: ...}`, the name of one with or without its
            split (`fashion_mnist/test`), or a folder or zip of images, which are brought to the shape.
        sample_shape: (C, H, W) or (D,).
        role: for messages.

    Raises:
        DataError: none of these, or of another shape.
        RecipeError: a spec that cannot be built.
    """
    check_data(what, sample_shape, role)
    if isinstance(what, (str, Path)):
        what = _spec(str(what), sample_shape, role)
    data = build(what, kind="data", where=role) if isinstance(what, Mapping) else what
    if not all(hasattr(data, name) for name in ("rows", "condition", "fingerprint", "sample_shape")):
        raise DataError(f"{role}: a {type(data).__name__} is no data set; accepted: a data set, its name, or a folder")
    if tuple(data.sample_shape) != tuple(sample_shape):
        raise DataError(f"{role}: samples of {data.name} are {list(data.sample_shape)}, wanted {list(sample_shape)}")
    return data


def check_data(what: Any, sample_shape: tuple[int, ...], role: str = "the data") -> None:
    """What can be told of data without decoding them; arguments and errors as `open_data`."""
    if isinstance(what, (str, Path)):
        what = _spec(str(what), sample_shape, role)
    if not isinstance(what, Mapping):
        return
    check(what, kind="data", where=role)
    promised = promised_shape(what)
    if promised and promised != tuple(sample_shape):
        raise DataError(f"{role}: samples of {what['type']} are {list(promised)}, wanted {list(sample_shape)}")


def _spec(text: str, sample_shape: tuple[int, ...], role: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        return _written(text, role)
    name, _, split = text.partition("/")
    if has("data", name) and not Path(text).exists():
        return {"type": name} | ({"split": split} if split else {})
    if not Path(text).exists():
        raise DataError(f"{role}: no file, folder or data set {shown(text)}{suggest(text, CATALOG['data'])}")
    if len(sample_shape) != 3 or sample_shape[1] != sample_shape[2]:
        raise DataError(f"{role}: files become square images, but samples of {list(sample_shape)} are wanted")
    return {"type": "folder", "path": text, "size": sample_shape[1], "channels": sample_shape[0]}


def _written(text: str, role: str) -> dict[str, Any]:
    try:
        return dict(parse_yaml(text))
    except (Unreadable, TypeError, ValueError) as damage:
        raise DataError(f"{role}: {shown(text)} is no YAML mapping; write '{{type: name, key: value}}'") from damage
