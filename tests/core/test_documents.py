from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from genkit.core.documents import (
    NODES,
    Unreadable,
    check_plain,
    json_of_result,
    parse_json,
    parse_yaml,
    read_json,
    read_mapping,
    read_yaml,
)
from tests.cli.hostile import LAUGHS, MERGES


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("a: 1\nb: !!int ''", "'' is no int", 2),
        ("a: !!timestamp foo", "timestamp' is not read", 1),
        ("a: !!bool maybe", "'maybe' is no bool", 1),
        ("a: !!python/object/apply:os.system [touch x]", "os.system' is not read", 1),
        ("a: " + "1" * 6000, "6,000 digits; at most 100", 1),
        ("a: 0x" + "f" * 6000, "6,002 digits; at most 100", 1),
        ("a:\n  " + "[" * 3000, "nested more than 64 deep", 2),
        ("{" * 3000, "nested more than 64 deep", 1),
        ("a: 1\nb: 2\na: 3", "key 'a' is given twice", 3),
        ("a:\n  b: 1\n  b: 2", "key 'b' is given twice", 3),
        ("1: a\ntrue: b", "key True is given twice", 2),
        ("[a]: b", "a key must be a plain name", 1),
        ("a: {<<: {b: 1}}", "merge keys", 1),
        (MERGES, "merge keys", 2),
        (LAUGHS, "more than 100,000 values", None),
        ("a: &x [*x]", "nested more than 64 deep", None),
        ('a: {b: ["\\ud800"]}', r"a\.b\[0\]: holds U\+D800, which is no text", None),
        ('a: "\\0"', r"a: holds U\+0000", None),
        ('"\\e[31m": 1', r"holds U\+001B", None),
        ("a: *x", "undefined alias 'x'", 1),
        ("\x07", "special characters are not allowed", None),
    ],
)
def test_yaml_that_is_no_plain_document(text: str, message: str, line: int | None) -> None:
    with pytest.raises(Unreadable, match=message) as fault:
        parse_yaml(text)
    assert fault.value.line == line


def test_what_yaml_becomes() -> None:
    text = "a: 2001-99-99\nb: [1, 0x10, 1.5, .inf, true, null, ~]\nc: &c {d: x}\ne: *c\nf: !!python/tuple [1]\n1: y\n"
    tree = parse_yaml(text)
    assert tree == {
        "a": "2001-99-99",
        "b": [1, 16, 1.5, float("inf"), True, None, None],
        "c": {"d": "x"},
        "e": {"d": "x"},
        "f": [1],
        1: "y",
    }
    tree["c"]["d"] = "changed"
    assert tree["e"] == {"d": "x"}, "what an alias stands for is changed in one place alone"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 10**5, "nested more than 64 deep"),
        ("[" * 100 + "]" * 100, "nested more than 64 deep"),
        ('{"a": ' * 70 + "1" + "}" * 70, "nested more than 64 deep"),
        ('{"a": ' + "9" * 6000 + "}", "6,000 digits"),
        ('{"a": 1, "a": 2}', "key 'a' is given twice"),
        ("{", "Expecting property name"),
    ],
)
def test_json_that_is_no_plain_document(text: str, message: str) -> None:
    with pytest.raises(Unreadable, match=message):
        parse_json(text)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(path) == read_yaml(path) == read_mapping(path) == {"a": 1}
    path.write_bytes(b"\xff")
    with pytest.raises(Unreadable, match="utf-8"):
        read_yaml(path)
    with pytest.raises(Unreadable, match="no such file"):
        read_json(tmp_path / "nowhere")
    with pytest.raises(Unreadable, match="not a regular file"):
        read_yaml(Path("/dev/zero"))
    with pytest.raises(Unreadable, match="File name too long"):
        read_json(Path("x" * 5000))
    with open(path, "wb") as file:
        os.truncate(file.fileno(), 2**40)
    with pytest.raises(Unreadable, match=r"1,099,511,627,776 bytes; at most"):
        read_yaml(path)
    assert read_mapping(path) == read_mapping(tmp_path) == {}


def test_trees_from_code_are_held_to_the_same() -> None:
    tree: list[object] = []
    tree.append(tree)
    for bad in (tree, {"a": "\ud800"}, {"a\0": 1}, [0] * (NODES + 1)):
        with pytest.raises(Unreadable):
            check_plain(bad)
    check_plain({"a": ["é\n\t", 1, None, 2.5], 1: True})


def test_a_result_is_json_for_every_program() -> None:
    text = json_of_result({"fd": math.inf, "rows": [(math.nan, 1.5), {"log_m": -math.inf}], "n": 3, "name": "NaN"})

    def foreign(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    found = json.loads(text, parse_constant=foreign)
    assert found == {"fd": None, "rows": [[None, 1.5], {"log_m": None}], "n": 3, "name": "NaN"}
