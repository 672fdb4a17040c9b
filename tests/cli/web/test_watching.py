"""A run on the page: how far it is, its samples beside real images."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from genkit.cli.web.watching import state_of, watched
from genkit.images.pixels import write_png


def log(run: Path, *steps: tuple[int, float]) -> None:
    lines = [json.dumps({"step": step, "seconds": seconds, "loss": 1.0}) for step, seconds in steps]
    (run / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))


def test_how_far_and_how_long(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("train: {steps: 100}")
    assert "nothing is logged yet" in watched(tmp_path)
    log(tmp_path, (10, 5.0))
    assert "iteration 10 of 100<" in watched(tmp_path)
    log(tmp_path, (10, 5.0), (20, 25.0))
    assert "iteration 20 of 100, about 2:40 to go<" in watched(tmp_path)
    log(tmp_path, (20, 25.0), (30, 2.0))
    assert "iteration 30 of 100<" in watched(tmp_path)
    log(tmp_path, (90, 25.0), (100, 45.0))
    assert "iteration 100 of 100<" in watched(tmp_path)
    (tmp_path / "recipe.yaml").write_text("[")
    assert "iteration 100<" in watched(tmp_path)


def test_samples_stand_beside_real_images(tmp_path: Path) -> None:
    before = state_of(tmp_path)
    (tmp_path / "grids").mkdir()
    for path in ("real.png", "grids/00000010.png"):
        write_png(tmp_path / path, torch.zeros(1, 4, 4))
    assert state_of(tmp_path) != before
    shown = watched(tmp_path)
    assert shown.index("samples at iteration 10") < shown.index("real images")


def test_a_run_is_finished_when_it_has_the_scores_that_it_is_to_have(tmp_path: Path) -> None:
    log(tmp_path, (100, 5.0))
    write_png(tmp_path / "samples.png", torch.zeros(1, 4, 4))
    (tmp_path / "recipe.yaml").write_text("train: {steps: 100}\nevaluate: null")
    assert "iteration 100 of 100; finished<" in watched(tmp_path)
    (tmp_path / "recipe.yaml").write_text("train: {steps: 100}\nevaluate: {n: 10}")
    before = state_of(tmp_path)
    assert "iteration 100 of 100; trained, and being scored<" in watched(tmp_path)
    (tmp_path / "scores.json").write_text("{}")
    assert "iteration 100 of 100; finished<" in watched(tmp_path) and state_of(tmp_path) != before
