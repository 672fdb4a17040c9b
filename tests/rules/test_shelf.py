"""Every shipped weights folder is light, loads, and has a card that says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from genkit.core.pretrained import Pretrained

FOLDERS = sorted(path.parent for path in (Path(__file__).parents[2] / "weights").glob("*/config.json"))
MB = 1_000_000


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_is_light_and_says_what_it_is(folder: Path) -> None:
    assert size(folder) < 8 * MB
    _, head, text = (folder / "README.md").read_text("utf-8").split("---\n", 2)
    assert set(yaml.safe_load(head)) == {"score", "training"}
    assert f"# {folder.name}\n" in text
    assert "genkit train" in text or "genkit refine" in text
    assert isinstance(Pretrained.from_pretrained(folder), Pretrained)


def test_together_they_are_light() -> None:
    assert len(FOLDERS) >= 15
    assert sum(map(size, FOLDERS)) < 80 * MB
