"""Fixtures and data sets shared between checkouts; tests that need them are skipped where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("GENKIT_SHARED") or Path(__file__).parents[2] / "shared")


def shared(*parts: str) -> Path:
    """The path under `shared`, or a skip with the reason."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is absent; set GENKIT_SHARED", allow_module_level=True)
    return path
