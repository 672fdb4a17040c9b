"""One name, one type, in all of genkit."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import genkit

ROOT = Path(genkit.__file__).parent


def types(path: Path) -> list[str]:
    """Names of the classes and type aliases at the top of a file."""
    found = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found += [node.targets[0].id] if not node.targets[0].id.isupper() else []
    return [name for name in found if name[0].isupper()]


def sharing(paths: list[Path]) -> dict[str, list[str]]:
    places = defaultdict(list)
    for path in paths:
        for name in types(path):
            places[name].append(path.name)
    return {name: files for name, files in places.items() if len(files) > 1}


def test_no_two_types_have_one_name() -> None:
    paths = sorted(ROOT.rglob("*.py"))
    assert len({name for path in paths for name in types(path)}) > 100
    assert not sharing(paths)


@pytest.mark.parametrize("second", ["class Side: ...", "Side = int | str"])
def test_a_second_type_of_a_name_is_noticed(second: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("Side = tuple[int, int]\nSIDE = 3\n")
    (tmp_path / "b.py").write_text(f"SIDE = 4\n{second}\n")
    assert sharing([tmp_path / "a.py", tmp_path / "b.py"]) == {"Side": ["a.py", "b.py"]}
