"""Functions of somebody else's, called as they were written."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def takes_condition(called: Callable[..., Any]) -> bool:
    """Whether a function or module takes (x, condition), and not x alone.

    A second argument is the condition if it must be given, is called so, or is None where nothing is said. Modules that
    torch has compiled, traced or spread over devices take what the ones inside take; what does not say gets both.
    """
    while (inner := getattr(called, "_orig_mod", None) or _spread(called)) is not None:
        called = inner
    function = getattr(called, "forward", called)
    if (schema := getattr(function, "schema", None)) is not None:
        return len([argument for argument in schema.arguments if argument.name != "self"]) > 1
    try:
        parameters = list(signature(function).parameters.values())
    except (TypeError, ValueError):
        return True
    if any(parameter.kind == Parameter.VAR_POSITIONAL for parameter in parameters):
        return True
    second = [parameter for parameter in parameters if parameter.kind in BY_POSITION][1:2]
    return any(of.name == "condition" or of.default in (Parameter.empty, None) for of in second)


def _spread(called: Any) -> Any:
    """The module inside one of torch.nn.parallel."""
    return called.module if type(called).__module__.startswith("torch.nn.parallel") else None
