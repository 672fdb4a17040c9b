"""One name, one type, and one file, in all of genkit."""

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


PARTS = {"__init__", "entries", "generator", "critic", "encoder", "slots"}
"""Files that every family may have."""


def twice(files: list[Path]) -> dict[str, list[str]]:
    """Names of files that stand for different things: stem -> places below the package.

    Two of one name are of one thing where a command stands beside what it calls, the reading of authors' checkpoints
    beside what they become, and a metric beside its formula.
    """
    places = defaultdict(list)
    for file in sorted(files):
        places[file.stem].append(file)
    found = {}
    for stem, of in places.items():
        formulas = {file.parents[1] / "functional" for file in of if file.parent.name == "metrics"}
        own = [
            file
            for file in of
            if not (
                file.parent.name == "authors" or file.parent in formulas or (file.parts[0] == "cli" and len(of) > 1)
            )
        ]
        if stem not in PARTS and len(own) > 1:
            found[stem] = [file.as_posix() for file in own]
    return found


def test_no_two_files_have_one_name() -> None:
    files = [path.relative_to(ROOT) for path in ROOT.rglob("*.py")]
    assert len(files) > 100
    assert not twice(files)


def test_a_second_file_of_a_name_is_noticed() -> None:
    of_one_thing = ["cli/control.py", "evaluation/control.py", "vae/nvae.py", "vae/authors/nvae.py", "gan/slots.py"]
    of_one_thing += ["vae/slots.py", "evaluation/metrics/kernel.py", "evaluation/functional/kernel.py"]
    assert not twice([Path(name) for name in of_one_thing])
    of_two = ["data/folder.py", "posthoc/folder.py", "evaluation/functional/checks.py", "explain/checks.py"]
    assert set(twice([Path(name) for name in of_two])) == {"folder", "checks"}


OWN_WORDS = {"told", "way", "meet", "presented"}
"""Words that stood for several things each; the field has one for each of them: broadcast, summary, interpolation."""


def own_words(text: str) -> set[str]:
    defined = {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
    return {name for name in defined if name.strip("_") in OWN_WORDS}


def test_functions_are_called_by_the_words_of_the_field() -> None:
    assert own_words("class Crew:\n    def told(self): ...\ndef _way(): ...\ndef told_apart(): ...") == {"told", "_way"}
    found = {path.name: own_words(path.read_text(encoding="utf-8")) for path in ROOT.rglob("*.py")}
    assert not {name: words for name, words in found.items() if words}
