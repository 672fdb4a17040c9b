"""Arguments of a class or function in a person's words."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from genkit.core.conversion import is_built, signature
from genkit.core.errors import with_article

BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def described(make: Any) -> Iterator[tuple[str, str, str]]:
    """(name, accepted values, default) for every argument of a class or function that a file can give."""
    parameters, hints = signature(make)
    for name, parameter in parameters.items():
        yield name, words(hints.get(name, Any)), _default(parameter.default)


def words(hint: Any) -> str:
    """A type hint as a person would say it: 'int, at least 1', 'one of: one, two', 'list of genkit Penalty'."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return ", ".join([words(inner[0]), *_bounds(inner[1:])])
    if origin is Literal:
        return "one of: " + ", ".join(map(str, inner))
    if origin in (Union, types.UnionType):
        return " or ".join("none" if part is type(None) else words(part) for part in inner)
    if origin is not None and inner:
        parts = [words(part) for part in inner if part is not Ellipsis]
        return f"{'dict' if origin is dict else 'list'} of {', '.join(dict.fromkeys(parts))}"
    name: str = getattr(hint, "__name__", str(hint))
    return f"{with_article(name)} (type: ...)" if is_built(hint) else name


def _bounds(metadata: tuple[Any, ...]) -> Iterator[str]:
    for field in metadata:
        for bound in getattr(field, "metadata", ()):
            for attribute, text in BOUNDS.items():
                if (value := getattr(bound, attribute, None)) is not None:
                    yield f"{text} {value}"


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    made_later = type(value).__name__ == "_HAS_DEFAULT_FACTORY_CLASS"
    return "" if made_later else f"default {str(value).lower() if isinstance(value, bool) else value}"
