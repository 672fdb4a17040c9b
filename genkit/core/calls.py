"""Functions and modules of somebody else's, called as they were written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
CONDITION = "condition"


def asked(called: Callable[..., Any], x: Any, condition: Mapping[str, Any]) -> Any:
    """`called` of (x, condition), of x and `condition=`, or of x alone: as it was written, see `takes_condition`.

    What may be given as a second argument, and is not called the condition, is given where there is a condition alone.
    """
    if _by_name(called):
        return called(x, condition=condition)
    return called(x, condition) if takes_condition(called, must=not condition) else called(x)


def takes_condition(called: Callable[..., Any], must: bool = False) -> bool:
    """Whether a function or module takes (x, condition), and not x alone.

    A second argument is the condition if it must be given, is called so, or is None where nothing is said. Modules that
    torch has compiled, traced or spread over devices take what the ones inside take; what does not say gets both.

    Args:
        must: of those, the second argument that must be given, or is called so, alone.
    """
    function = _function(called)
    if (schema := getattr(function, "schema", None)) is not None:
        return len([argument for argument in schema.arguments if argument.name != "self"]) > 1
    parameters = _parameters(function)
    if parameters is None or _by_name(called):
        return True
    if any(parameter.kind == Parameter.VAR_POSITIONAL for parameter in parameters):
        return not must
    defaults = (Parameter.empty,) if must else (Parameter.empty, None)
    second = [parameter for parameter in parameters if parameter.kind in BY_POSITION][1:2]
    return any(of.name == CONDITION or of.default in defaults for of in second)


def _by_name(called: Callable[..., Any]) -> bool:
    """Whether the condition can be given by its name alone."""
    parameters = _parameters(_function(called)) or []
    return any(of.name == CONDITION and of.kind == Parameter.KEYWORD_ONLY for of in parameters)


def _function(called: Any) -> Any:
    while (inner := getattr(called, "_orig_mod", None) or _spread(called)) is not None:
        called = inner
    return getattr(called, "forward", called)


def _spread(called: Any) -> Any:
    """The module inside one of torch.nn.parallel."""
    return called.module if type(called).__module__.startswith("torch.nn.parallel") else None


def _parameters(function: Any) -> list[Parameter] | None:
    """None where it does not say."""
    try:
        return list(signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
