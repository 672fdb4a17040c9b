"""Lists of the page, and that a name that it does not list opens nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genkit.cli.web.library import DEPTH, Library, chosen
from genkit.core.errors import GenkitError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run, weights of two kinds, a recipe that is no run, a page, and links that lead outside."""
    root, outside = tmp_path / "here", tmp_path / "outside"
    for path, text in {
        root / "runs/one/recipe.yaml": "name: one",
        root / "runs/one/metrics.jsonl": "",
        root / "runs/one/report.html": "<p>report</p>",
        root / "runs/one/weights/config.json": json.dumps({"type": "gan"}),
        root / "kept/config.json": json.dumps({"type": "gan"}),
        root / "judge/config.json": json.dumps({"type": "classifier"}),
        root / "mine/recipe.yaml": "name: mine",
        root / ".hidden/config.json": json.dumps({"type": "gan"}),
        root / "found/directions.yaml": "method: sefa",
        outside / "config.json": json.dumps({"type": "gan"}),
        outside / "report.html": "<p>secret</p>",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "linked").symlink_to(outside)
    (root / "kept/report.html").symlink_to(outside / "report.html")
    monkeypatch.chdir(root)
    return root


def test_lists(here: Path) -> None:
    library = Library(Path())
    own = {name for name in library.generators() if name not in library.shipped}
    assert own == {"runs/one", "kept"}
    assert {"digits-wgan-ratio-clipping", "fashion-mnist-ddpm"} < library.generators().keys()
    assert "judge" in library.others() and "mnist-classifier" in library.others()
    assert not library.others().keys() & library.generators().keys()
    assert "mnist-directions" in library.generators()
    assert list(library.runs()) == ["runs/one"]
    assert list(library.directions()) == ["found"]
    assert list(library.pages()) == ["runs/one/report.html"]


def test_the_newest_is_first(here: Path) -> None:
    import os

    os.utime(here / "kept", (2e9, 2e9))
    assert next(iter(Library(Path()).generators())) == "kept"


def test_deep_folders_end_the_search(here: Path) -> None:
    deep = here.joinpath(*["d"] * (DEPTH + 1))
    deep.mkdir(parents=True)
    (deep / "report.html").write_text("")
    (deep.parent / "report.html").write_text("")
    assert len(Library(Path()).pages()) == 2


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "linked", "runs/../kept", "", None, 3, ["kept"]])
def test_other_names_open_nothing(here: Path, name: object) -> None:
    library = Library(Path())
    for listed in (library.generators(), library.runs(), library.pages(), library.directions()):
        with pytest.raises(GenkitError, match="is not in the list"):
            chosen(listed, name)
