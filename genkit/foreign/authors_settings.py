"""The authors' own settings: read from their file, then checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from genkit.core.documents import Unreadable, read_yaml
from genkit.core.errors import RecipeError, WeightsError, shown


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
        raise WeightsError(f"config.{key}: {message}, got {shown(detail['input'])}") from error


@contextmanager
def networks_of(settings: str = "config: ") -> Iterator[None]:
    """A block, or a function, that builds networks: what they refuse is a WeightsError that begins with `settings`."""
    try:
        yield
    except RecipeError as misfit:
        raise WeightsError(f"{settings}{misfit}") from misfit


def read_settings(path: str | Path) -> dict[str, Any]:
    """The mapping in a JSON or YAML file.

    Raises:
        WeightsError: the file is missing, is neither, or holds no mapping.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"cannot read {path}: {'a folder' if path.is_dir() else 'no such file'}")
    try:
        found = read_yaml(path)
    except Unreadable as fault:
        line = f"line {fault.line}: " if fault.line else ""
        raise WeightsError(f"{path} is neither JSON nor plain YAML: {line}{fault}") from fault
    if not isinstance(found, dict):
        raise WeightsError(f"{path} must hold a mapping of the authors' settings, got {type(found).__name__}")
    return found
