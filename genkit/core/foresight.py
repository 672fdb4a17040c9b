"""Facts about a data set that follow from its arguments, before it is decoded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from genkit.core import catalog
from genkit.core.errors import DataError, suggest_file
from genkit.core.files import at_home
from genkit.core.table import CATALOG

FILES = ("path", "attributes")
"""Arguments of `folder` that must exist."""


def check_paths(spec: Mapping[str, Any], where: str) -> None:
    """Raises DataError for a folder, zip or file of attributes of a data spec that does not exist."""
    files = FILES if spec.get("type") == "folder" else ()
    for key, value in spec.items():
        if isinstance(value, Mapping):
            check_paths(value, f"{where}.{key}")
        elif key in files and value is not None and not os.path.exists(at_home(str(value))):
            raise DataError(f"{where}.{key}: {value} does not exist{suggest_file(at_home(str(value)))}")


def promised_shape(spec: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """(channels, size, size) of the samples that a checked data spec will give; None where only the data show it.

    A set made of another one gives samples of that one's shape.
    """
    name = str(spec.get("type"))
    entry = CATALOG["data"].get(name)
    if entry is None or not entry.target.startswith("genkit.data."):
        return None
    taken = catalog.parameters(name, kind="data")
    if {"size", "channels"} <= taken.keys():
        size, channels = (int(spec.get(key, taken[key].default)) for key in ("size", "channels"))
        return channels, size, size
    inner = next((spec[key] for key in taken if isinstance(spec.get(key), Mapping)), None)
    return None if inner is None else promised_shape(inner)
