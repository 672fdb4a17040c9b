"""YAML and JSON from users, read within bounds and as plain data, or refused in one line; JSON of results.

A file of a few hundred bytes can ask a parser for gigabytes, an endless loop or another language's objects. Results
are mappings, lists, text, numbers, yes, no and nothing, of bounded depth and size.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from genkit.core.errors import GenkitError, shown

DEPTH = 64
"""Mappings and lists inside each other."""
DIGITS = 100
"""Most digits of a whole number."""
NODES = 100_000
"""Values in YAML, aliases counted as often as they are used."""
NAME = 60
"""Characters of a key that a path shows."""
YAML_BYTES, JSON_BYTES = 2**18, 2**28

TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map")}
TUPLE = "tag:yaml.org,2002:python/tuple"
OPENING = re.compile(rf"(?:[\[{{] ?){{{DEPTH},}}")
"""Too many brackets, searched for before parsing: PyYAML takes seconds over a thousand of them."""
NOT_TEXT = re.compile("[^\\t\\n\\r\\x20-\\x7e\\x85\\xa0-\\ud7ff\\ue000-\\U0010ffff]")


class Unreadable(GenkitError):
    """A text that is no plain document of bounded size; the message has no file name.

    Attributes:
        line: of the fault, from 1, if known.
    """

    def __init__(self, message: str, line: int | None = None):
        super().__init__(message)
        self.line = line


def read_yaml(path: Path) -> Any:
    """The document in the YAML file at `path`; see `parse_yaml`.

    Raises:
        Unreadable: no file, too large, no text, or as `parse_yaml` says.
    """
    return parse_yaml(_read(path, YAML_BYTES))


def read_json(path: Path) -> Any:
    """The document in the JSON file at `path`; see `parse_json`.

    Raises:
        Unreadable: no file, too large, no text, or as `parse_json` says.
    """
    return parse_json(_read(path, JSON_BYTES))


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file that genkit itself has written; {} when there is none or it is damaged."""
    try:
        found = read_json(path)
    except Unreadable:
        return {}
    return found if isinstance(found, dict) else {}


def json_of_result(tree: Mapping[str, Any]) -> bytes:
    """A result as JSON that every program reads: null for numbers that are not finite, which JSON has no word for."""
    return (json.dumps(_finite(tree), indent=2, allow_nan=False) + "\n").encode()


def unknown_as_nan(part: Any) -> Any:
    """A part of a result that was read again, with NaN for the null that `json_of_result` wrote."""
    if isinstance(part, Mapping):
        return {key: unknown_as_nan(value) for key, value in part.items()}
    if isinstance(part, list):
        return [unknown_as_nan(value) for value in part]
    return math.nan if part is None else part


def _finite(part: Any) -> Any:
    if isinstance(part, Mapping):
        return {key: _finite(value) for key, value in part.items()}
    if isinstance(part, (list, tuple)):
        return [_finite(value) for value in part]
    return None if isinstance(part, float) and not math.isfinite(part) else part


def _read(path: Path, most: int) -> str:
    try:
        if not path.is_file():
            raise Unreadable("no such file" if not path.exists() else "not a regular file")
        if (size := path.stat().st_size) > most:
            raise Unreadable(f"{size:,} bytes; at most {most:,} are read")
        return path.read_text(encoding="utf-8-sig")
    except OSError as failure:
        raise Unreadable(failure.strerror or str(failure)) from failure
    except ValueError as failure:  # bytes that are no text, or a name with a NUL
        raise failure if isinstance(failure, Unreadable) else Unreadable(str(failure)) from failure


def is_spec(text: str) -> bool:
    """Whether an argument is a spec `{type: ...}`, not a name or a path."""
    return text.lstrip().startswith("{")


def parse_yaml(text: str) -> Any:
    """The document in a YAML text.

    Dates are text, and Python's tuples, common in authors' files, are lists; keys are given once; anchors may be used,
    merge keys (`<<`) not.

    Raises:
        Unreadable: with the line where it is known.
    """
    if bomb := OPENING.search(text):
        raise Unreadable(f"nested more than {DEPTH} deep", 1 + text.count("\n", 0, bomb.start()))
    try:
        tree = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        raise Unreadable(problem, mark.line + 1 if mark else None) from error
    except RecursionError as error:
        raise Unreadable(f"nested more than {DEPTH} deep") from error
    check_plain(tree)
    return _unshared(tree)


def parse_json(text: str) -> Any:
    """The document in a JSON text; keys are given once.

    Raises:
        Unreadable: no JSON, or too deep.
    """
    try:
        tree = json.loads(text, parse_int=_whole, object_pairs_hook=_mapping)
    except json.JSONDecodeError as error:
        raise Unreadable(f"{error.msg}, column {error.colno}", error.lineno) from error
    except RecursionError as error:
        raise Unreadable(f"nested more than {DEPTH} deep") from error
    level = [tree]
    for _ in range(DEPTH):
        level = [part for node in level for part in _containers(node)]
    if level:
        raise Unreadable(f"nested more than {DEPTH} deep")
    return tree


def _containers(node: Any) -> list[Any]:
    """The mappings and lists that a mapping or list holds: long lists of plain values are passed over at once."""
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [part for part in parts if isinstance(part, (dict, list))]


def check_plain(tree: Any) -> None:
    """Refuses a tree that is too deep or too large, or text that no YAML file could hold.

    Raises:
        Unreadable: beginning with the key's path.
    """
    for count, (where, value) in enumerate(_walk(tree, "", DEPTH)):
        if count >= NODES:
            raise Unreadable(f"more than {NODES:,} values, those of aliases counted wherever they are used")
        if isinstance(value, str) and (found := NOT_TEXT.search(value)):
            raise Unreadable(f"{where}: holds U+{ord(found[0]):04X}, which is no text")


def _walk(node: Any, where: str, left: int) -> Iterator[tuple[str, Any]]:
    """(path, value) of every key and value, in order."""
    if not left:
        raise Unreadable(f"nested more than {DEPTH} deep")
    yield where or "the document", node
    if isinstance(node, Mapping):
        for key, value in node.items():
            name = key[:NAME] if isinstance(key, str) else shown(key)
            yield (f"key {shown(key)}", key)
            yield from _walk(value, f"{where}.{name}" if where else name, left - 1)
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from _walk(value, f"{where}[{i}]", left - 1)


def _unshared(node: Any) -> Any:
    """A copy without shared parts: the target of an alias is copied for each use, so that one can be changed alone."""
    if isinstance(node, dict):
        return {key: _unshared(value) for key, value in node.items()}
    return [_unshared(value) for value in node] if isinstance(node, list) else node


def _whole(digits: str) -> int:
    if len(digits) > DIGITS:
        raise Unreadable(f"a number of {len(digits):,} digits; at most {DIGITS} are read")
    return int(digits)


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise Unreadable(f"key {shown(name)} is given twice")
        found[name] = value
    return found


class _Loader(yaml.SafeLoader):
    """Plain values alone; a fault of the text is a YAMLError with its line, whatever PyYAML makes of it."""

    depth = 0
    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in found if tag in TAGS or tag.endswith(":merge")]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > DEPTH:
            raise _fault(f"nested more than {DEPTH} deep", self.peek_event())
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        if node.tag not in TAGS | {TUPLE}:
            merge = node.tag.endswith(":merge")
            raise _fault("merge keys (<<) are not read" if merge else f"tag {shown(node.tag)} is not read", node)
        if isinstance(node, yaml.ScalarNode) and node.tag.endswith((":int", ":float")) and len(node.value) > DIGITS:
            raise _fault(f"a number of {len(node.value):,} digits; at most {DIGITS} are read", node)
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as misfit:
            kind = node.tag.rpartition(":")[2]
            raise _fault(f"{shown(node.value)} is no {kind}", node) from misfit

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key_node, yaml.ScalarNode):
                raise _fault("a key must be a plain name", key_node)
            key = self.construct_object(key_node)
            if key in seen:
                raise _fault(f"key {shown(key)} is given twice", key_node)
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_constructor(TUPLE, lambda loader, node: loader.construct_sequence(node))  # type: ignore[arg-type]


def _fault(problem: str, place: Any) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, place.start_mark)
