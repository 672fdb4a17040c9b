"""Arguments as a file writes them, checked against a signature and converted by its type hints.

Those that several constructors share are one object in code, and keys among the others in a file.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from genkit.core.errors import RecipeError, shown, suggest
from genkit.core.files import at_home

Nested = Callable[[type, Any, str], Any]
"""(class that is wanted, spec or instance of it, path in the file) -> the value of the argument."""

WORDS = {False: ("no", "off"), True: ("yes", "on")}
"""Words that YAML reads as false or true: `precision: no`."""


def arguments(make: Any, given: Mapping[str, Any], nested: Nested, *, where: str = "") -> dict[str, Any]:
    """`given`, checked against the signature of `make` and converted by its type hints.

    In the order of the signature, not of `given`: networks draw their first weights when they are built, and the order
    of keys in a file must not change them.
    """
    parameters, hints = signature(make)
    for key in given:
        if key not in parameters:
            raise RecipeError(f"{join(where, f'{key!s:.60}')}: unknown key{suggest(key, parameters)}")
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and key not in given:
            raise RecipeError(f"{at(where)}missing key {key!r}; {getattr(make, '__name__', make)} needs it")
    ready = {k: converted(hints.get(k, Any), given[k], nested, where=join(where, k)) for k in parameters if k in given}
    try:
        return gather(make, ready)
    except RecipeError as error:
        raise RecipeError(f"{at(where)}{error}") from error


@cache
def signature(make: Any) -> tuple[Mapping[str, inspect.Parameter], Mapping[str, Any]]:
    """The parameters of a class or function that a file can give, and the type hints of all."""
    hints = get_type_hints(make.__init__ if inspect.isclass(make) else make, include_extras=True)
    parameters = {
        k: p
        for k, p in inspect.signature(make).parameters.items()
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and not _is_function(hints.get(k))
    }
    return spread(parameters, hints)


def _is_function(hint: Any) -> bool:
    """Whether only code can give such an argument, never a file: a callback."""
    return get_origin(hint) is Callable or any(get_origin(inner) is Callable for inner in get_args(hint))


def converted(hint: Any, value: Any, nested: Nested, *, where: str = "") -> Any:
    """`value` as `hint` asks: nested specs are handed to `nested`, plain values are converted and range-checked.

    PyYAML reads 1e-4 as a string, hence numbers in strings are numbers where the hint says so. No number may be nan or
    infinite, unless the hint says so with `Field(allow_inf_nan=True)`.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        if len(rest := [h for h in inner if h is not type(None)]) == 1:
            return converted(rest[0], value, nested, where=where)
    if origin in (list, tuple, Sequence) and inner and is_built(inner[0]):
        if not isinstance(value, (list, tuple)):
            raise RecipeError(f"{at(where)}needs a list, got {shown(value)}")
        return [converted(inner[0], v, nested, where=f"{where}[{i}]") for i, v in enumerate(value)]
    if origin is Mapping and inner and is_built(inner[1]):
        if not isinstance(value, Mapping):
            raise RecipeError(f"{at(where)}needs names with what each one is, got {shown(value)}")
        return {str(k): converted(inner[1], v, nested, where=join(where, str(k))) for k, v in value.items()}
    if is_built(hint):
        return nested(hint, value, where)
    return _plain_value(hint, value, where)


def is_built(hint: Any) -> bool:
    """Whether a nested spec makes such an argument: a class of genkit, of torch or of one's own."""
    return inspect.isclass(hint) and hint.__module__.split(".")[0] not in sys.stdlib_module_names


def _plain_value(hint: Any, value: Any, where: str) -> Any:
    from pydantic import TypeAdapter, ValidationError

    if isinstance(value, bool):
        value = next((word for word in WORDS[value] if word in get_args(hint)), value)
    if isinstance(value, bool) and bool not in (hint, *get_args(hint)) and hint is not Any:
        raise RecipeError(f"{at(where)}got {str(value).lower()}; a yes or no is not accepted here")
    try:
        found = TypeAdapter(hint, config={"allow_inf_nan": False}).validate_python(value)
    except ValidationError as error:
        detail = error.errors()[0]
        inside = "".join(f"[{part}]" for part in detail["loc"] if isinstance(part, int))
        message = f"{detail['msg'][:1].lower()}{detail['msg'][1:]}"
        raise RecipeError(f"{where}{inside}: {message}, got {shown(detail['input'])}") from error
    return Path(at_home(str(found))) if isinstance(found, Path) else found


def join(where: str, key: str) -> str:
    """The path of `key` below `where`."""
    return f"{where}.{key}" if where else key


def at(where: str) -> str:
    """`where` as a message begins with it."""
    return f"{where}: " if where else ""


class SharedArguments:
    """Base of a frozen dataclass of arguments that several constructors share.

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
