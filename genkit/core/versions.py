"""Versions of genkit and of installed packages, on which results depend beside recipe and seed."""

from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from genkit import __version__

GIT_S = 10
"""Seconds that git may take."""


def own_source() -> dict[str, str | None]:
    """The version of genkit, and the git commit of its checkout, "-dirty" when files differ from it.

    The commit is None for an installed package, or without an answer of git.
    """
    return {"version": __version__, "commit": _commit(Path(__file__).parents[2])}


def _commit(checkout: Path) -> str | None:
    if not (checkout / ".git").exists():  # else git would answer for whatever repository lies around the package
        return None
    asked = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=GIT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def installed(*packages: str) -> dict[str, str | None]:
    """Name -> version; None when it is not installed."""
    return {name: _version(name) for name in packages}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
