"""--device, --precision and --compile of every command that runs networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from genkit.core import computing
from genkit.core.computing import Computing
from tests.cli.console import refusal, run

Capture = pytest.CaptureFixture[str]

LINES = {
    "train": ["train", "points/wgan_gp", "--out", "OUT"],
    "sample": ["sample", "WEIGHTS", "--out", "OUT"],
    "edit": ["edit", "WEIGHTS", "--sweep", "hue", "--out", "OUT.png"],
    "refine": ["refine", "WEIGHTS", "--data", "digits", "--out", "OUT"],
    "directions": ["directions", "WEIGHTS", "--out", "OUT"],
    "explain": ["explain", "WEIGHTS", "digits", "--out", "OUT"],
    "explain train": ["explain", "train", "WEIGHTS", "digits", "--out", "OUT"],
    "evaluate": ["evaluate", "WEIGHTS", "--against", "digits/test"],
    "score-images": ["score-images", "WEIGHTS", "digits", "--out", "OUT.csv"],
    "calibrate": ["calibrate", "WEIGHTS", "digits"],
    "stats": ["stats", "digits", "--out", "OUT.npz"],
    "bench": ["bench", "OUT.yaml"],
}
AT_A_PRECISION = ("sample", "edit", "evaluate", "score-images", "bench")


def line(command: str, weights: Path, out: Path) -> list[str]:
    return [word.replace("WEIGHTS", str(weights)).replace("OUT", str(out)) for word in LINES[command]]


@pytest.mark.parametrize("command", LINES)
def test_every_command_that_runs_networks_runs_them_where_it_is_told(
    capsys: Capture, finished: Path, tmp_path: Path, command: str
) -> None:
    told = refusal(capsys, *line(command, finished, tmp_path / "out"), "--device", "gpu")
    assert told == "--device: there is no 'gpu' here; there is cpu"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", AT_A_PRECISION)
def test_bf16_is_refused_with_the_reason(
    capsys: Capture, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(computing, "cpu_has_bf16", lambda: False)
    told = refusal(capsys, *line(command, finished, tmp_path / "out"), "--precision", "bf16")
    assert told.startswith("--precision bf16: this CPU has no units for bf16")


def test_training_in_bf16_is_refused_with_the_reason(
    capsys: Capture, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(computing, "cpu_has_bf16", lambda: False)
    for how in (["--dry-run"], ["--out", tmp_path / "run"]):
        told = refusal(capsys, "train", recipe, "train.precision=bf16", *how)
        assert told.startswith("train.precision: this CPU has no units for bf16") and "train.precision=no" in told
    assert not list(tmp_path.iterdir())


def test_networks_are_moved_lowered_and_compiled(
    capsys: Capture, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, compiled, ready = list[Computing](), list[nn.Module](), Computing.ready

    def watched(self: Computing, module: nn.Module) -> nn.Module:
        seen.append(self)
        return ready(self, module)

    monkeypatch.setattr(Computing, "ready", watched)
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    options = ["--device", "cpu", "--precision", "bf16", "--compile"]
    assert run(capsys, "sample", finished, "-n", 2, "--out", tmp_path / "low", *options).code == 0
    assert seen == [Computing(torch.device("cpu"), "bf16", True)] and len(compiled) == 1
    assert run(capsys, "sample", finished, "-n", 2, "--out", tmp_path / "full").code == 0
    images = [(tmp_path / name / "000000.png").read_bytes() for name in ("low", "full")]
    assert images[0] != images[1]


def test_a_lower_precision_is_that_of_the_samples_and_not_of_their_features(
    capsys: Capture, finished: Path, tmp_path: Path
) -> None:
    scores = {}
    for name, options in {"full": [], "low": ["--precision", "bf16"]}.items():
        for subject in (finished, "digits/train"):
            to = tmp_path / f"{name}.json"
            line = ["evaluate", subject, "--against", "digits/test", "-n", 60, "--metrics", "fd", "--no-cache"]
            assert run(capsys, *line, "--json", to, *options).code == 0
            scores[name, subject] = json.loads(to.read_text())["values"]["fd"]
    assert scores["low", "digits/train"] == scores["full", "digits/train"]
    assert scores["low", finished] != scores["full", finished]


def test_a_series_at_another_precision_is_another_series(
    capsys: Capture, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.cli.test_series import stop_after

    line = ["sample", finished, "-n", 4, "--out", tmp_path / "out"]
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        assert run(capsys, *line).code == 130
    assert "going on" not in run(capsys, *line, "--precision", "bf16").out
