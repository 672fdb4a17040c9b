"""A run's scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genkit.training import show, train
from genkit.training.recipe import Recipe
from tests.rules.recipes import read, shrunk


def test_reference_and_extractor_are_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: dict[str, int] = {"reference": 0, "extractor": 0}

    def counting(what: str, honest: Any) -> Any:
        def made(*arguments: Any, **settings: Any) -> Any:
            opened[what] += 1
            return honest(*arguments, **settings)

        return made

    monkeypatch.setattr(show, "build", counting("reference", show.build))
    maker = "genkit.evaluation.extractors.classifier.mnist_classifier"
    from genkit.evaluation.extractors import classifier

    monkeypatch.setattr(maker, counting("extractor", classifier.mnist_classifier))
    tree = shrunk(read("digits/wgan_ratio_clipping"))
    tree["train"]["steps"], tree["every"] = 4, {"evaluate": 1}
    tree["evaluate"] = {"against": {"type": "digits", "split": "test"}, "n": 60, "metrics": ["fd"]}
    run = train(Recipe.from_dict(tree), tmp_path / "run")
    assert opened == {"reference": 1, "extractor": 1}
    assert json.loads((run / "scores.json").read_text())["labels"]["fd"].startswith("FD/")
    assert sum("eval/fd" in line for line in (run / "metrics.jsonl").read_text().splitlines()) == 4
