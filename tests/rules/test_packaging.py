"""The installed package is the one here."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest

import genkit

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


def packages(requirements: str) -> set[str]:
    return {re.split(r"[>=<\[]", line)[0].strip() for line in requirements.strip().splitlines()}


def test_the_page_says_of_every_dependency_what_it_is_for() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").partition("## Why these libraries")[2]
    for line in setup()["options"]["install_requires"].split():
        assert re.search(rf"\b{line.partition('>')[0]}\b", page), line


def test_only_tests_need_what_only_tests_use() -> None:
    options = setup()["options"]
    dev = packages(setup()["options.extras_require"]["dev"])
    assert {"ruff", "mypy", "pytest", "cvxpy", "playwright"} <= dev - packages(options["install_requires"])


@pytest.mark.parametrize(("target", "installs"), [("demo", ["-e ."]), ("test", ["-e .", "-e '.[dev]'"])])
def test_make_installs_what_is_needed(target: str, installs: list[str], tmp_path: Path) -> None:
    for name in ("Makefile", "setup.cfg", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    planned = subprocess.run(["make", "-n", target], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"pip install .*(-e .*)", planned) == installs
    assert planned.index("venv .venv") < planned.index("pip install") < planned.index("genkit train")


def test_changelog_knows_this_version() -> None:
    assert f"## {genkit.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
