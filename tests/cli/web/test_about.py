"""The line about weights: who reads it knows what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from genkit.cli.web.about import about


def test_of_shipped_weights() -> None:
    said = about("fashion-mnist-exemplar-vae")
    assert said.startswith("28x28 grey clothes by example: ") and said.endswith(" importance samples).")


def test_of_a_run_its_stage_and_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path, text in {
        "recipe.yaml": "description: not of shipped weights",
        "run/recipe.yaml": "description: of all\n  stages",
        "run/first/recipe.yaml": "name: first",
        "run/second/recipe.yaml": "description: of the second",
        "kept/config.json": "{}",
        "kept/README.md": "---\nscore: FD 3\n---\n# kept\n\nShapes by hand. And more.",
        "odd/config.json": "{}",
        "odd/README.md": "---\n[\n---\n",
        "bare/config.json": "{}",
    }.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    assert about("run/first") == "of all stages" and about("run/second") == "of the second"
    assert about("kept") == "Shapes by hand. FD 3."
    assert about("odd") == about("bare") == about("none") == ""
    assert about("mnist-classifier").startswith("Ten logits")
