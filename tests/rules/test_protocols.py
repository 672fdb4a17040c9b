"""Protocols that are asked at run time whether something is of their kind."""

from __future__ import annotations

import ast
from pathlib import Path

import genkit

PLAIN = {"tuple[int, ...]", "int", "str", "bool"}
"""Types of what an nn.Module keeps in its __dict__. Its modules, parameters and buffers lie elsewhere: Python 3.12
does not look there for members of a protocol."""


def test_no_protocol_asks_for_a_submodule() -> None:
    asked, bad = 0, []
    for path in Path(genkit.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and "runtime_checkable" in map(ast.unparse, node.decorator_list):
                asked += 1
                members = [m for m in node.body if isinstance(m, ast.AnnAssign)]
                bad += [
                    f"{path.name}: {node.name}.{ast.unparse(m)}"
                    for m in members
                    if ast.unparse(m.annotation) not in PLAIN
                ]
    assert asked > 3 and not bad, bad
