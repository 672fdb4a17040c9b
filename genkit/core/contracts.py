"""What a class of one's own must have before it is built, and what to say of one that lacks it."""

from __future__ import annotations

import inspect
from typing import Any

from genkit.core.errors import RecipeError

CONTRACTS = {
    "generators": "genkit.core.generator:Generator",
    "systems": "genkit.core.system:System",
    "metrics": "genkit.evaluation.metrics.metric:Metric",
}
"""kind -> the class that all of its classes derive from."""


def check_contract(make: Any, name: str, contract: type | None, where: str = "") -> None:
    """Raises RecipeError for a class that does not derive from its contract, or lacks methods of one it derives from.

    Args:
        make: what the name stands for; functions answer by what they return.
        contract: the class that all classes of this kind derive from, if there is one.
        where: the beginning of the message.
    """
    if not inspect.isclass(make):
        return
    if contract and not issubclass(make, contract):
        lacks = _list(m for m in contract.__abstractmethods__ if not hasattr(make, m))  # type: ignore[attr-defined]
        raise RecipeError(
            f"{where}{name!r} does not make a {contract.__name__}: {make.__qualname__} does not derive from it"
            f"{f' and lacks {lacks}' if lacks else ''}; {documented(contract)}"
        )
    if methods := getattr(make, "__abstractmethods__", None):
        owner = next(base for base in make.__mro__ if min(methods) in vars(base))
        raise RecipeError(
            f"{where}{name!r}: {make.__qualname__} lacks {_list(methods)} of the contract {owner.__name__}; "
            f"{documented(owner)}"
        )


def lacking(made: object, contract: type) -> str:
    """'; it lacks f() of the contract C, documented in ...', for a Protocol that an object does not fulfil."""
    lacks = _list(m for m in vars(contract) if not m.startswith("_") and not hasattr(made, m))
    return f": it lacks {lacks}; {documented(contract)}" if lacks else ""


def documented(contract: type) -> str:
    """Where a contract can be read."""
    return f"the contract is documented in {contract.__module__}.{contract.__qualname__} and docs/architecture.md"


def _list(methods: Any) -> str:
    return ", ".join(f"{method}()" for method in sorted(methods))
