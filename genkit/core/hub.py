"""Weights on the Hugging Face Hub: safetensors, JSON and README.md. Nothing else is sent or taken, and no pickle."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from genkit.core.card_header import README
from genkit.core.documents import Unreadable, read_json
from genkit.core.errors import GenkitError, WeightsError, first_line, shown
from genkit.core.files import whole_folder
from genkit.core.location import CONFIG

KEPT = ("*.json", "*.safetensors", README)
"""Patterns of the files that are sent and taken, in subfolders too."""

BESIDE = (".gitattributes", README)
"""Files of a repository that holds nothing yet."""


def _parts(source: str) -> tuple[str, str] | None:
    """Owner and name in owner/name or owner/name@revision; None of another form."""
    owner, slash, name = source.partition("@")[0].partition("/")
    return (owner, name) if slash and "/" not in name and not {owner, name} & {"", ".", ".."} else None


def is_id(source: str) -> bool:
    """Whether `source` has the form owner/name or owner/name@revision, and is no path."""
    parts = _parts(source)
    return parts is not None and not Path(parts[0]).exists()


def check_id(source: str) -> None:
    """Raises WeightsError for what has not the form of an id."""
    if _parts(source) is None:
        raise WeightsError(f"{shown(source)} is no repository of the hub; write owner/name, or owner/name@revision")


def fetch(source: str) -> Path:
    """The folder, in the hub's cache, of the weights owner/name, or of their revision owner/name@revision.

    Private ones are opened by the token that huggingface_hub knows; offline they are those of the last time.

    Raises:
        WeightsError: no such repository or revision, no connection, or no weights of genkit there.
    """
    check_id(source)
    name, _, revision = source.partition("@")
    with _explaining(source):
        from huggingface_hub import snapshot_download

        _check_ours(Path(snapshot_download(name, revision=revision or None, allow_patterns=[CONFIG])), source)
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=list(KEPT)))


def pull(source: str, out: Path) -> Path:
    """A copy of what `fetch` finds in the new folder `out`.

    Raises:
        WeightsError: as `fetch`.
        CheckpointError: `out` cannot be written.
    """
    folder = fetch(source)
    with whole_folder(out) as copy:
        _copy(folder, copy)
    return out


def push(folder: Path, card: str, target: str, *, private: bool = False) -> str:
    """Sends the weights in `folder` with a README.md to the repository `target`, which is made where there is none.

    Args:
        folder: a weights folder.
        card: text of README.md.
        target: owner/name, or owner/name@branch.
        private: makes a new repository private.

    Returns:
        Its address.

    Raises:
        WeightsError: no token, no permission, no connection, or a repository that holds something else.
    """
    check_id(target)
    name, _, branch = target.partition("@")
    with _explaining(target, sent=True), TemporaryDirectory() as temporary:
        from huggingface_hub import HfApi, get_token

        if not get_token():
            raise WeightsError("no token of the hub is known; log in with 'hf auth login', or set HF_TOKEN")
        sent = Path(temporary)
        _copy(folder, sent)
        (sent / README).write_text(card, encoding="utf-8")
        api: Any = HfApi()
        _check_free(api, name)
        api.create_repo(name, private=private, exist_ok=True)
        if branch:
            api.create_branch(name, branch=branch, exist_ok=True)
        api.upload_folder(
            repo_id=name,
            folder_path=str(sent),
            revision=branch or None,
            commit_message="Weights of genkit",
            delete_patterns=list(KEPT[:2]),
        )
    return f"https://huggingface.co/{name}" + (f"/tree/{branch}" if branch else "")


def _check_free(api: Any, name: str) -> None:
    """Refuses to replace what is not genkit's."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        files = api.list_repo_files(name)
    except RepositoryNotFoundError:
        return
    if set(files) - set(BESIDE):
        try:
            fetch(name)
        except WeightsError as other:
            raise WeightsError(f"{name} exists and is not replaced ({other}); name a new repository") from other


def _copy(folder: Path, to: Path) -> None:
    """Copies what is kept of a folder."""
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if path.is_file() and any(fnmatch(str(place), pattern) for pattern in KEPT):
            (to / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to / place)


def _check_ours(folder: Path, source: str) -> None:
    try:
        config = read_json(folder / CONFIG) if (folder / CONFIG).is_file() else None
    except Unreadable:
        config = None
    if not isinstance(config, Mapping) or not isinstance(config.get("type"), str):
        raise WeightsError(f"the repository {source} holds no weights of genkit (a {CONFIG} that says its type)")


@contextmanager
def _explaining(source: str, sent: bool = False) -> Iterator[None]:
    """A block whose failures are told in one line; without the hub's own lines about each of its attempts."""
    try:
        from huggingface_hub import logging

        logging.set_verbosity_error()
        yield
    except GenkitError:
        raise
    except Exception as failure:  # the hub's client raises a dozen unrelated types
        raise WeightsError(_explained(failure, source, sent)) from failure


def _explained(failure: Exception, source: str, sent: bool) -> str:
    from huggingface_hub import errors

    missing = f"nothing is sent to {source}, and " if sent else f"no local folder {source}, and "

    status = getattr(getattr(failure, "response", None), "status_code", 0)
    unreachable: Sequence[type] = (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError)
    if isinstance(failure, errors.RevisionNotFoundError):
        return f"the hub has no revision {source.partition('@')[2]!r} of {source.partition('@')[0]}"
    if isinstance(failure, errors.RepositoryNotFoundError):
        return f"{missing}the hub has no such repository, or a private one that no token opens"
    if isinstance(failure, tuple(unreachable)) or type(failure).__module__.startswith("httpx"):
        return f"{missing}the hub cannot be reached"
    if isinstance(failure, errors.HFValidationError):
        return f"{shown(source)} is no repository of the hub; write owner/name, or owner/name@revision"
    if status in (401, 403):
        return f"the hub does not let this token write to {source}; take one with write access, or another owner"
    return f"the hub did not do it for {source}: {first_line(failure)}"
