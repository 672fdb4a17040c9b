"""The authors' own settings: read from their file, then checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from genkit.errors import DataError, WeightsError
from genkit.files import read_regular


class Settings(BaseModel):
    """Base of a layout's settings: typed and ranged fields under the authors' names; other keys are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


S = TypeVar("S", bound=Settings)


def check_settings(kind: type[S], config: Mapping[str, Any]) -> S:
    """`config` as `kind`.

    Raises:
        WeightsError: naming the first key that is missing or out of range.
    """
    try:
        return kind.model_validate(dict(config))
    except ValidationError as error:
        detail = error.errors()[0]
        key = ".".join(map(str, detail["loc"]))
        if detail["type"] == "missing":
            needed = ", ".join(name for name, field in kind.model_fields.items() if field.is_required())
            raise WeightsError(f"config: missing key {key!r}; this layout needs {needed}") from error
        message = f"{detail['msg'][:1].lower()}{detail['msg'][1:]}"
        raise WeightsError(f"config.{key}: {message}, got {str(detail['input'])[:60]!r}") from error


class _Loader(yaml.SafeLoader):
    """The safe loader, for which Python's tuples, common in authors' files, are lists."""


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", lambda loader, node: loader.construct_sequence(node))  # type: ignore[arg-type]


def read_settings(path: str | Path) -> dict[str, Any]:
    """The mapping in a JSON or YAML file.

    Raises:
        WeightsError: the file is missing, is neither, or holds no mapping.
    """
    path = Path(path)
    try:
        found = yaml.load(read_regular(path).decode("utf-8"), Loader=_Loader)
    except DataError as refused:
        raise WeightsError(f"{path} {refused}; give the authors' settings") from refused
    except OSError as failure:
        raise WeightsError(f"cannot read {path}: {failure.strerror}") from failure
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as damage:
        raise WeightsError(f"{path} is neither JSON nor plain YAML: {' '.join(str(damage).split())[:160]}") from damage
    if not isinstance(found, dict):
        raise WeightsError(f"{path} must hold a mapping of the authors' settings, got {type(found).__name__}")
    return found
