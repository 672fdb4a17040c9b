"""What is installed is what is here."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import genkit
from genkit.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_every_package_is_listed() -> None:
    found = {".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "genkit").rglob("__init__.py")}
    listed = set(setup()["options"]["packages"].split())
    assert listed == found | {"genkit.recipes", "genkit.weights"}


def test_every_data_file_is_shipped() -> None:
    patterns = {package: globs.split(", ") for package, globs in setup()["options.package_data"].items()}
    for path in (ROOT / "genkit").rglob("*"):
        if path.is_file() and path.suffix not in {".py", ".pyc"}:
            package = ".".join(path.parent.relative_to(ROOT).parts)
            assert any(path.match(glob) for glob in patterns.get(package, ())), path


def test_every_dependency_has_a_lower_bound() -> None:
    for line in setup()["options"]["install_requires"].strip().splitlines():
        assert re.fullmatch(r"[a-zA-Z0-9_-]+>=[0-9.]+", line.strip()), line


def test_changelog_knows_this_version() -> None:
    assert f"## {genkit.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_readme_names_commands_that_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    code = "\n".join([*re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL), *re.findall(r"`([^`\n]+)`", text)])
    assert set(re.findall(r"(?:^|[ ;&/])genkit ([a-z]+)", code, re.MULTILINE)) <= set(COMMANDS)
    assert {"demo", "test"} <= set(re.findall(r"(?:^|[ ;&])make ([a-z]+)", code, re.MULTILINE)) <= targets
