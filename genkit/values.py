"""A plain value from a file, as a type hint asks for it."""

from __future__ import annotations

from typing import Any, get_args

from genkit.errors import RecipeError, shown


def plain_value(hint: Any, value: Any, where: str) -> Any:
    """`value`, converted to what `hint` says and checked against its range.

    Raises:
        RecipeError: beginning with `where`, the key's path.
    """
    from pydantic import TypeAdapter, ValidationError

    if isinstance(value, bool) and bool not in (hint, *get_args(hint)) and hint is not Any:
        raise RecipeError(f"{at(where)}got {str(value).lower()}; a yes or no is not accepted here")
    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        detail = error.errors()[0]
        inside = "".join(f"[{part}]" for part in detail["loc"] if isinstance(part, int))
        message = f"{detail['msg'][:1].lower()}{detail['msg'][1:]}"
        raise RecipeError(f"{where}{inside}: {message}, got {shown(detail['input'])}") from error


def join(where: str, key: str) -> str:
    """The path of `key` below `where`."""
    return f"{where}.{key}" if where else key


def at(where: str) -> str:
    """`where` as a message begins with it."""
    return f"{where}: " if where else ""
