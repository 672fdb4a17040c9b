from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def own_module_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """diffusers copies a pipeline's own class before it runs it: here into a folder of the test's own."""
    monkeypatch.setattr("diffusers.utils.dynamic_modules_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
