"""Building of objects from `{type: name, **arguments}`: names from the table, arguments checked by type hints."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

from genkit.core.conversion import arguments, at, converted, join
from genkit.core.entry import Entry
from genkit.core.errors import GenkitError, RecipeError, kind_of, shown, suggest
from genkit.core.reference import check_reference, is_reference, load_reference
from genkit.core.table import CATALOG, TYPES, load_plugins, lookup

CONTRACTS = {
    "generators": "genkit.core.generator:Generator",
    "systems": "genkit.core.system:System",
    "metrics": "genkit.evaluation.metrics.metric:Metric",
    "data": "genkit.data.dataset:DataSet",
}
"""kind -> the class of all that its names make."""


def find(name: Any, *, kind: str | None = None, makes: type = object, where: str = "") -> Any:
    """The class or function that `name` stands for.

    Args:
        name: of the catalog.
        kind: accept only names of this kind.
        makes: a message suggests only names that make one of these.
        where: path of the name in its file, for messages.

    Raises:
        RecipeError: with the nearest accepted name, or the contract that the class does not fulfil.
    """
    found = lookup(name, (kind,) if kind else TYPES)
    if found is None:
        raise RecipeError(f"{at(where)}unknown type {shown(name)}{suggest(name, _fitting(_names(kind), makes))}")
    return imported(name, found, at(where))


def parameters(name: Any, *, kind: str) -> Mapping[str, inspect.Parameter]:
    """Parameters of the class or function that a name stands for; errors as `find`."""
    return inspect.signature(find(name, kind=kind)).parameters


def imported(name: str, found: tuple[str, Entry], where: str = "") -> Any:
    """The class or function of a name's entry.

    Args:
        found: its kind and entry, see `lookup`.
        where: the beginning of a message.

    Raises:
        RecipeError: it cannot be imported, or does not fulfil the contract of its kind.
    """
    kind, entry = found
    make = target_of(name, entry, where)
    check_contract(make, name, _contract(kind), where)
    return make


def target_of(name: str, entry: Entry, where: str = "") -> Any:
    """The class or function of a name's entry, as `imported`, whatever it makes."""
    try:
        make = load(entry.target)
    except (ImportError, AttributeError) as failure:
        raise RecipeError(f"{where}{name!r} cannot be imported from {entry.target}: {failure}") from failure
    if not callable(make):
        raise RecipeError(f"{where}{name!r} is {kind_of(make)} ({entry.target}), no class and no function")
    return make


def _contract(kind: str | None) -> type:
    return load(CONTRACTS[kind]) if kind in CONTRACTS else object  # type: ignore[no-any-return]


def _names(kind: str | None) -> dict[str, Entry]:
    return CATALOG[kind] if kind else {name: entry for kind in TYPES for name, entry in CATALOG[kind].items()}


def load(target: str) -> Any:
    """The object named by `package.module:name`."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def may_make(make: Any, wanted: type) -> bool:
    """Whether a class or function may give a `wanted`, false only where it is certain.

    Only an instance shows whether it fits a Protocol, and a function may return more than it says.
    """
    if wanted is object or getattr(wanted, "_is_protocol", False):
        return True
    if inspect.isclass(make):
        return issubclass(make, wanted)
    returned = get_type_hints(make).get("return")
    return not inspect.isclass(returned) or issubclass(returned, wanted) or issubclass(wanted, returned)


def _fitting(names: Mapping[str, Entry], wanted: type) -> list[str]:
    """The `names` that may make a `wanted`; all are imported to find out, so this is for messages."""
    return [name for name, entry in names.items() if wanted is object or _may_make(entry, wanted)]


def _may_make(entry: Entry, wanted: type) -> bool:
    """As `may_make`; a plugin that fails makes nothing."""
    try:
        return may_make(load(entry.target), wanted)
    except Exception:
        return False


def name_of(cls: type) -> str:
    """The catalog's name of a class, else its dotted path (which can be written, but not built)."""
    path = f"{cls.__module__}:{cls.__qualname__}"
    found = _named_by(path) or (_named_by(path) if load_plugins() else None)
    return found or path


def _named_by(target: str) -> str | None:
    return next((name for name, entry in _names(None).items() if entry.target == target), None)


def build(spec: Any, *, kind: str | None = None, makes: type = object, where: str = "") -> Any:
    """The object that `{type: name, **arguments}` describes, arguments built first, depth first.

    All names, keys and plain values, at any depth, are checked before anything is built: a misspelt key costs no
    decoded data and no downloaded weights.

    Args:
        spec: a mapping with the key `type`.
        kind: accept only names of this kind.
        makes: accept only names that make one of these.
        where: path of `spec` in its file, for messages.

    Raises:
        RecipeError: `where.key: the value that was got; the values that are accepted`.
    """
    check(spec, kind=kind, makes=makes, where=where)
    return _fulfilling(_contract(kind), _made(spec, kind, makes, where), spec, where)


def check(spec: Any, *, kind: str | None = None, makes: type = object, where: str = "") -> None:
    """The checks of `build`, without building."""
    make, given = _named(spec, kind, makes, where)
    arguments(make, given, _checked, where=where)


def check_arguments(make: Any, given: Mapping[str, Any], *, where: str = "") -> dict[str, Any]:
    """`given`, checked against the signature of `make` and converted by its type hints; nested specs are built."""
    arguments(make, given, _checked, where=where)
    return arguments(make, given, _built, where=where)


def convert(hint: Any, value: Any, *, where: str = "") -> Any:
    """`value` as `hint` asks; nested specs are built."""
    converted(hint, value, _checked, where=where)
    return converted(hint, value, _built, where=where)


def _named(spec: Any, kind: str | None, makes: type, where: str) -> tuple[Any, dict[str, Any]]:
    """The class or function that `spec` names, and its arguments."""
    names = _names(kind)
    if hasattr(spec, "config"):
        raise RecipeError(f"{at(where)}needs {kind_of(makes)}, got {kind_of(spec)}")
    if not isinstance(spec, Mapping):
        raise RecipeError(f"{at(where)}needs a mapping with the key 'type', got {shown(spec)}")
    if "type" not in spec:
        raise RecipeError(f"{at(where)}needs the key 'type'{suggest('', _fitting(names, makes))}")
    make = find(spec["type"], kind=kind, makes=makes, where=join(where, "type"))
    if not may_make(make, makes):
        near = suggest(spec["type"], _fitting(names, makes))
        raise RecipeError(f"{at(where)}{spec['type']!r} does not make {kind_of(makes)}{near}")
    return make, {k: v for k, v in spec.items() if k != "type"}


def _made(spec: Any, kind: str | None, makes: type, where: str) -> Any:
    make, given = _named(spec, kind, makes, where)
    ready = arguments(make, given, _built, where=where)
    try:
        return make(**ready)
    except RecipeError as error:
        raise error if str(error).startswith(where) else RecipeError(f"{at(where)}{error}") from error
    except GenkitError:
        raise
    except ValueError as error:
        raise RecipeError(f"{at(where)}{error}") from error


def _built(hint: type, value: Any, where: str) -> Any:
    if is_reference(value):
        return load_reference(hint, value, where)
    return value if isinstance(value, hint) else _fulfilling(hint, _made(value, None, hint, where), value, where)


def _fulfilling(wanted: type, made: Any, spec: Any, where: str) -> Any:
    """`made`, if it is a `wanted`: a function may not say what it makes, and a protocol is seen by instances alone."""
    if not isinstance(made, wanted):
        raise RecipeError(f"{at(where)}{shown(spec['type'])} does not make {kind_of(wanted)}{lacking(made, wanted)}")
    return made


def _checked(hint: type, value: Any, where: str) -> Any:
    """`value` as it is, if it would become a `hint`."""
    if is_reference(value):
        check_reference(hint, value, where)
    elif not isinstance(value, hint):
        check(value, makes=hint, where=where)
    return value


BENCHES = "bench"
"""Folder of the shipped recipes that holds files of `genkit bench`, which are none."""


def shipped(folder: str) -> Path:
    """`recipes` or `weights` as shipped: inside an installed package, or at the top of a checkout."""
    package = Path(__file__).parents[1]
    inside = package / folder
    return inside if inside.is_dir() else package.parent / folder


def check_contract(make: Any, name: str, contract: type, where: str = "") -> None:
    """Raises RecipeError for a class that does not derive from its contract, or lacks methods of one it derives from.

    Args:
        make: class or function of the name; a function is judged by its return type.
        contract: the class that all classes of this kind derive from; object for none.
        where: the beginning of the message.
    """
    if not inspect.isclass(make):
        return
    if not issubclass(make, contract):
        lacks = _list(m for m in getattr(contract, "__abstractmethods__", ()) if not hasattr(make, m))
        raise RecipeError(
            f"{where}{name!r} does not make {kind_of(contract)}: {make.__qualname__} does not derive from it"
            f"{f' and lacks {lacks}' if lacks else ''}; {documented(contract)}"
        )
    if methods := getattr(make, "__abstractmethods__", None):
        owner = next(base for base in make.__mro__ if min(methods) in vars(base))
        raise RecipeError(
            f"{where}{name!r}: {make.__qualname__} lacks {_list(methods)} of the contract {owner.__name__}; "
            f"{documented(owner)}"
        )


def lacking(made: object, contract: type) -> str:
    """': it lacks f(); the contract is documented in ...', for a contract that an object does not fulfil."""
    if not getattr(contract, "_is_protocol", False):
        return f": it is {kind_of(made)}; {documented(contract)}"
    lacks = _list(m for m in vars(contract) if not m.startswith("_") and not hasattr(made, m))
    return f": it lacks {lacks}; {documented(contract)}" if lacks else ""


def documented(contract: type) -> str:
    """A half sentence that says where a contract is documented."""
    return f"the contract is documented in {contract.__module__}.{contract.__qualname__} and docs/architecture.md"


def _list(methods: Any) -> str:
    return ", ".join(f"{method}()" for method in sorted(methods))
