"""A stand-in of huggingface_hub: repositories are folders, a revision is a folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors


def raised(kind: type[Exception], message: str = "") -> Exception:
    """An error of the client, which is made of a response there."""
    error = kind.__new__(kind, message)
    error.args = (message,)
    return error


class StandIn:
    """The part of huggingface_hub that genkit calls, over a folder.

    Attributes:
        taken: names of all files that were downloaded.
        token: None is logged out.
        private: names of the private repositories.
        failure: raised by every call, as where the hub cannot be reached.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch):
        self.folder, self.token, self.failure = folder, "hf_token", None
        self.taken, self.private = list[str](), set[str]()
        patch.setattr(huggingface_hub, "snapshot_download", self.snapshot_download)
        patch.setattr(huggingface_hub, "get_token", lambda: self.token)
        patch.setattr(huggingface_hub, "HfApi", lambda: self)

    token: str | None
    failure: Exception | None

    def place(self, name: str, revision: str | None = None) -> Path:
        return self.folder / "hub" / name.replace("/", "--") / (revision or "main")

    def snapshot_download(self, name: str, *, revision: str | None, allow_patterns: Sequence[str]) -> str:
        place = self._open(name, revision)
        to = self.folder / "cache" / name.replace("/", "--") / (revision or "main")
        for path in place.rglob("*"):
            file = str(path.relative_to(place))
            if path.is_file() and any(fnmatch(file, pattern) for pattern in allow_patterns):
                self.taken.append(file)
                (to / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, to / file)
        return str(to)

    def list_repo_files(self, name: str) -> list[str]:
        place = self._open(name, None)
        return [str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()]

    def create_repo(self, name: str, *, private: bool, exist_ok: bool) -> None:
        assert exist_ok
        if not self.place(name).exists() and private:
            self.private.add(name)
        self.place(name).mkdir(parents=True, exist_ok=True)

    def create_branch(self, name: str, *, branch: str, exist_ok: bool) -> None:
        assert exist_ok and self.place(name).is_dir()
        self.place(name, branch).mkdir(exist_ok=True)

    def upload_folder(
        self, *, repo_id: str, folder_path: str, revision: str | None, commit_message: str, delete_patterns: list[str]
    ) -> None:
        place = self._open(repo_id, revision)
        for path in [path for path in place.rglob("*") if path.is_file()]:
            if any(fnmatch(str(path.relative_to(place)), pattern) for pattern in delete_patterns):
                path.unlink()
        shutil.copytree(folder_path, place, dirs_exist_ok=True)

    def _open(self, name: str, revision: str | None) -> Path:
        if self.failure:
            raise self.failure
        if not self.place(name).is_dir() or (name in self.private and not self.token):
            raise raised(errors.RepositoryNotFoundError, "404 Client Error")
        if not self.place(name, revision).is_dir():
            raise raised(errors.RevisionNotFoundError, "404 Client Error")
        return self.place(name, revision)


def stand_in(folder: Path, patch: pytest.MonkeyPatch) -> Any:
    return StandIn(folder, patch)
