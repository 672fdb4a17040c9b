from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from genkit import __version__
from genkit.core import versions


def git(folder: Path, *arguments: str) -> str:
    who = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    asked = ["git", "-C", str(folder), *arguments]
    return subprocess.run(asked, check=True, capture_output=True, text=True, env={**os.environ, **who}).stdout.strip()


def test_a_checkout_tells_its_commit_and_whether_files_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "genkit" / "core").mkdir(parents=True)
    (tmp_path / "genkit" / "core" / "versions.py").write_text("first")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    git(tmp_path, "tag", "v1")
    commit = git(tmp_path, "rev-parse", "HEAD")
    monkeypatch.setattr(versions, "__file__", str(tmp_path / "genkit" / "core" / "versions.py"))
    assert versions.own_source() == {"version": __version__, "commit": commit}
    (tmp_path / "genkit" / "core" / "versions.py").write_text("second")
    assert versions.own_source()["commit"] == f"{commit}-dirty"


def test_a_package_inside_someone_elses_repository_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "--quiet")
    monkeypatch.setattr(versions, "__file__", str(tmp_path / "site-packages" / "genkit" / "core" / "versions.py"))
    assert versions.own_source() == {"version": __version__, "commit": None}


def test_without_git_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(versions, "__file__", str(tmp_path / "genkit" / "core" / "versions.py"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert versions.own_source()["commit"] is None
