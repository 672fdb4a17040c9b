"""A run's scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.run_contents import contents
from benchmarks.small_recipes import read, shrunk
from genkit.images.grid import GAP, LINE
from genkit.training import run as run_module
from genkit.training import show, train
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder


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


@pytest.fixture
def labelled() -> Recipe:
    """Digits of ten classes, a grid every second iteration of four."""
    tree = shrunk(read("digits/wgan_ratio_clipping"))
    tree["system"]["generator"]["network"]["classes"] = 10
    tree["train"]["steps"], tree["every"] = 4, {"log": 1, "grid": 2, "checkpoint": 2}
    return Recipe.from_dict(tree)


def test_real_images_stand_in_the_columns_of_their_classes(labelled: Recipe, tmp_path: Path) -> None:
    run = train(labelled, tmp_path / "run")
    real, samples = Image.open(run / "real.png"), Image.open(run / "samples.png")
    side = 84 + GAP
    assert real.size == samples.size == (10 * side - GAP, LINE + 8 * side - GAP)
    data = labelled.build_data()
    for k in (0, 7):
        tile = torch.from_numpy(np.asarray(real)[LINE : LINE + 84 : 3, k * side : k * side + 84 : 3, 0].copy())
        found = (data.x[:, 0] == tile).flatten(1).all(1).nonzero().flatten()
        assert data.labels[found].tolist() == [k]


def test_the_report_is_there_from_the_start_and_renewed_with_each_grid(
    labelled: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, honest = list[tuple[bool, int]](), run_module.write_report

    def counting(folder: Any, *rest: Any) -> None:
        honest(folder, *rest)
        seen.append((folder.reported, folder.report.read_text(encoding="utf-8").count("Samples at iteration")))

    monkeypatch.setattr(run_module, "write_report", counting)
    train(labelled, tmp_path / "run")
    assert seen == [(False, 0), (False, 2), (False, 3), (True, 2)], "a picture at 2 and 4, and the newest on top"


def test_a_report_that_fails_ends_no_training_and_changes_no_bit(
    labelled: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        torch.rand(1)
        raise OSError("no room")

    monkeypatch.setattr(run_module, "write_report", fails)
    assert not RunFolder(train(labelled, tmp_path / "failing")).reported
    monkeypatch.undo()
    assert contents(train(labelled, tmp_path / "run")) == contents(tmp_path / "failing")
    train(labelled, tmp_path / "failing", resume=True)
    assert RunFolder(tmp_path / "failing").finished(labelled)


def test_scores_know_what_real_samples_get(tmp_path: Path) -> None:
    tree = shrunk(read("digits/wgan_ratio_clipping"))
    tree["train"]["steps"], tree["every"] = 2, {"evaluate": 1}
    tree["evaluate"] = {"n": 60, "metrics": ["fd", "pr"]}
    run = train(Recipe.from_dict(tree), tmp_path / "run")
    scores = json.loads((run / "scores.json").read_text())
    assert scores["floor"]["n"] == 60 and scores["floor"]["values"]["precision"] > 0.7
    assert scores["floor"]["values"]["fd"] < scores["values"]["fd"] / 2
    assert not (run / "scores_so_far.json").exists()
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Real samples were scored against real ones" in page and "too few for a verdict" in page


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_never_the_best(value: float) -> None:
    scores = {"values": {"fd": value}, "better": {"fd": "lower"}}
    assert not show.is_better(scores, "fd", None)
    assert show.is_better({**scores, "values": {"fd": 1.0}}, "fd", None)
