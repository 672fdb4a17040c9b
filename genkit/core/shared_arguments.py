"""Arguments that several constructors share: one object in code, keys among the others in a file."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, replace
from functools import cache
from typing import Any, get_type_hints


class SharedArguments:
    """Base of a frozen dataclass of such arguments.

    A constructor takes it as one parameter, whose default may hold other values than the fields have. In a file the
    fields stand beside the constructor's own arguments, and `config` records them there.
    """

    def as_arguments(self) -> dict[str, Any]:
        """Field -> value."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]


def is_shared(hint: Any) -> bool:
    return inspect.isclass(hint) and issubclass(hint, SharedArguments)


def spread(
    parameters: Mapping[str, inspect.Parameter], hints: Mapping[str, Any]
) -> tuple[dict[str, inspect.Parameter], dict[str, Any]]:
    """A signature's parameters and type hints, with fields in place of the object that has them."""
    all_parameters, all_hints = dict[str, inspect.Parameter](), dict(hints)
    for name, parameter in parameters.items():
        kind = hints.get(name)
        if not is_shared(kind):
            all_parameters[name] = parameter
            continue
        all_hints |= get_type_hints(kind, include_extras=True)
        for field in fields(kind):  # type: ignore[arg-type]
            default = _default(field, parameter.default)
            all_parameters[field.name] = inspect.Parameter(field.name, parameter.KEYWORD_ONLY, default=default)
    return all_parameters, all_hints


def _default(field: Field[Any], whole: Any) -> Any:
    if isinstance(whole, SharedArguments):
        return getattr(whole, field.name)
    return inspect.Parameter.empty if field.default is MISSING else field.default


def gather(make: Any, given: dict[str, Any]) -> dict[str, Any]:
    """`given`, with the object in place of its fields.

    Raises:
        RecipeError: of the object, whose fields do not fit each other.
    """
    for name, (kind, default) in shared_of(make).items():
        own = {field.name: given.pop(field.name) for field in fields(kind) if field.name in given}
        given[name] = replace(default, **own) if isinstance(default, kind) else kind(**own)
    return given


@cache
def shared_of(make: Any) -> dict[str, tuple[Any, Any]]:
    """Parameter -> (its class, its default), of those that are such objects."""
    hints = get_type_hints(make.__init__ if inspect.isclass(make) else make)
    parameters = inspect.signature(make).parameters
    return {name: (hints[name], p.default) for name, p in parameters.items() if is_shared(hints.get(name))}
