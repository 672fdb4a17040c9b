"""genkit train: progress in plain lines, where to look, resuming, and the dry run."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from benchmarks.run_contents import contents
from genkit.data.digits import digits
from genkit.images.pixels import write_folder
from tests.cli.console import refusal, run

Capture = pytest.CaptureFixture[str]


def test_trains_and_says_where_to_look(capsys: Capture, recipe: Path, tmp_path: Path) -> None:
    ran = run(capsys, "train", recipe, "train.steps=3", "--out", tmp_path / "run")
    assert ran.code == 0 and ran.err == ""
    assert "training 3/3  100%" in ran.out
    for file in ("samples.png", "report.html", "weights"):
        assert str(tmp_path / "run" / file) in ran.out and (tmp_path / "run" / file).exists()
    assert "\x1b" not in ran.out, "no colours into a pipe"


def test_what_is_no_generator_is_not_to_be_sampled(capsys: Capture, tmp_path: Path) -> None:
    digits = "{type: part, data: {type: digits}, stop: 64}"
    small = [f"data={digits}", "train.steps=2", "every.grid=0", "every.checkpoint=0", "evaluate=null"]
    ran = run(capsys, "train", "mnist/mlp_classifier", *small, "--out", tmp_path / "run")
    assert ran.code == 0 and f"(genkit evaluate {tmp_path / 'run'} --against DATA)" in ran.out, ran
    assert run(capsys, "evaluate", tmp_path / "run", "--against", digits, "-n", 20).code == 0


def test_scores_are_said_in_words(capsys: Capture, recipe: Path, tmp_path: Path) -> None:
    scored = "evaluate={metrics: [fd, pr], n: 100}"
    ran = run(capsys, "train", recipe, "train.steps=1", scored, "--out", tmp_path / "run")
    assert ran.code == 0 and "recall/mnist-classifier" in ran.out and "real samples get" in ran.out
    assert "times what real samples get" in ran.out or "as near to the data as real" in ran.out


def test_bad_files_are_left_out_where_that_is_said(capsys: Capture, recipe: Path, tmp_path: Path) -> None:
    write_folder([digits().x[:6]], tmp_path / "pics")
    (tmp_path / "pics" / "bad.png").touch()
    data = f"data={{type: folder, path: {tmp_path / 'pics'}, size: 28, channels: 1, labels: false}}"
    unlabelled = ("system.generator.network.classes=0", "system.critic.classes=0")
    words = ("train", recipe, data, *unlabelled, "train.steps=1", "--out", tmp_path / "run")
    assert "bad.png: the file is empty; mend or remove it, or leave such out (--skip-bad" in refusal(capsys, *words)
    ran = run(capsys, *words, "--skip-bad")
    assert ran.code == 0 and "pics: 6 of 7 images; left out: 1 (bad.png: the file is empty)" in ran.out
    assert f"what became of it: {tmp_path / 'run' / 'files.csv'}" in ran.out
    assert "bad.png,left out" in (tmp_path / "run" / "files.csv").read_text()
    assert "this recipe reads none" in refusal(capsys, "train", recipe, "--skip-bad")


def test_a_finished_run_is_left_alone(capsys: Capture, recipe: Path, finished: Path) -> None:
    weights = finished / "weights" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    ran = run(capsys, "train", recipe, "--out", finished, "--resume")
    assert ran.code == 0 and "finished already" in ran.out and "training" not in ran.out
    assert weights.stat().st_mtime_ns == before


def stop_at_once(patch: pytest.MonkeyPatch) -> None:
    """As a SIGTERM in the first iteration does."""
    signalled = lambda accelerator, stop: setattr(stop, "number", int(signal.SIGTERM)) or True  # noqa: E731
    patch.setattr("genkit.training.run.asked_to_stop", signalled)


def test_a_stopped_run_says_how_to_go_on(
    capsys: Capture, recipe: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_at_once(patch)
        ran = run(capsys, "train", recipe, "--out", tmp_path)
    assert ran.code == 143
    assert ran.err == "genkit: stopped by SIGTERM after iteration 1; go on with --resume\n"
    there = contents(tmp_path)
    ran = run(capsys, "train", recipe, "--out", tmp_path, "--resume", "--dry-run")
    assert ran.code == 0 and "goes on after iteration 1; 3 remain" in " ".join(ran.out.split())
    changed = ("train", recipe, "train.seed=5", "--out", tmp_path, "--resume", "--dry-run")
    assert "train.seed" in refusal(capsys, *changed) and contents(tmp_path) == there
    ran = run(capsys, "train", recipe, "--out", tmp_path, "--resume")
    assert ran.code == 0 and "resumed from step-00000001" in ran.out
    weights = Path("weights") / "model.safetensors"
    assert (tmp_path / weights).read_bytes() == (finished / weights).read_bytes()


def test_dry_run_writes_nothing(capsys: Capture, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(capsys, "train", recipe, "--dry-run")
    assert ran.code == 0 and ran.err == ""
    assert not list(tmp_path.iterdir())
    words = " ".join(ran.out.split())
    assert "samples 5,000 of 1 x 28 x 28" in words and "10 classes" in words
    assert "gradient norm at most 0.5" in words
    order = [words.index(turn) for turn in ("1. critic:", "2. classifier:", "3. generator:")]
    assert order == sorted(order)
    assert "steps 4" in words and "s an iteration" in words
    counted = re.search(r"arithmetic ([\d.]+) GFLOP an iteration, [\d.]+ GFLOP/s here", words)
    assert counted and float(counted[1]) > 0.1
    assert re.search(
        r"memory [\d.]+ MiB of weights, averages, gradients and optimisers; [\d.]+ MiB of activations", words
    )


@pytest.fixture
def two_stages(tmp_path: Path) -> Path:
    """A recipe of two short stages over finished weights."""
    ratio = {"type": "density_ratio", "critic": {"type": "dcgan_critic", "size": 28, "width": 4}}
    stage = {
        "data": {"type": "digits", "split": "test"},
        "system": {"type": "keep_training", "generator": {"stage": "gan"}, "ratio": ratio, "samples": 100},
        "optimizers": {"ratio": {"type": "adam", "lr": 1e-3}},
        "train": {"steps": 2, "batch_size": 8},
    }
    tree = {"name": "two", "stages": {"gan": {"weights": "fashion-mnist-gan"}, "first": stage, "second": stage}}
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    return path


def test_a_dry_run_says_that_the_folder_is_taken(capsys: Capture, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/1.jpg").touch()
    for folder, line in (("mine", "holds images, such as 1.jpg, and no run; choose another --out"), ("new", "")):
        ran = run(capsys, "train", recipe, "--dry-run", "--out", tmp_path / folder)
        assert ran.code == 0 and (f"warning: {tmp_path / folder} {line}" in ran.out) == bool(line), ran


def test_a_dry_run_of_stages_over_finished_weights_leaves_them_their_values(capsys: Capture, two_stages: Path) -> None:
    """The rehearsal of a stage must not empty what the next one is timed with."""
    ran = run(capsys, "train", two_stages, "--dry-run")
    assert ran.code == 0, ran
    assert ran.out.count("GFLOP an iteration") == 2


def test_a_dry_run_of_stages_says_what_remains_of_each(
    capsys: Capture, two_stages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ("train", two_stages, "--out", tmp_path / "run", "--resume")
    assert "goes on" not in run(capsys, *line, "--dry-run").out
    with monkeypatch.context() as patch:
        stop_at_once(patch)
        assert run(capsys, *line).code == 143
    words = " ".join(run(capsys, *line, "--dry-run").out.split())
    assert words.count("goes on after iteration 1; 1 remain") == 1 and words.count("goes on") == 1


def test_a_dry_run_of_what_looks_at_values_counts_nothing(
    capsys: Capture, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genkit.gan.gan import GANTraining

    honest = GANTraining.iteration

    def looking(self: GANTraining, data: Any, step: int) -> Any:
        assert float(data.uniform().sum()) > 0
        return honest(self, data, step)

    monkeypatch.setattr(GANTraining, "iteration", looking)
    ran = run(capsys, "train", recipe, "--dry-run")
    assert ran.code == 0 and "s an iteration" in ran.out and "arithmetic" not in ran.out


@pytest.mark.parametrize(("seconds", "iterations"), [(0.01, 3), (0.1, 2), (60.0, 1)])
def test_long_iterations_are_timed_once(
    seconds: float, iterations: int, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genkit.cli import dry_run
    from genkit.training.staged import load_recipe
    from genkit.training.trainer import Trainer

    made = list[Trainer]()
    monkeypatch.setattr(Trainer, "iterate", lambda self: made.append(self))
    monkeypatch.setattr(dry_run.time, "perf_counter", lambda: seconds * len(made))
    assert dry_run.seconds_per_iteration(load_recipe(str(recipe))) == pytest.approx(seconds)
    assert len(made) == 1 + iterations


def test_a_launch_times_as_many_iterations_everywhere_and_finds_those_of_its_slowest(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genkit.cli import dry_run
    from genkit.training.staged import load_recipe
    from genkit.training.trainer import Trainer

    made = list[Trainer]()
    monkeypatch.setattr(Trainer, "iterate", lambda self: made.append(self))
    monkeypatch.setattr(dry_run.time, "perf_counter", lambda: 0.01 * len(made))
    monkeypatch.setattr(dry_run, "whole_batch", lambda own: torch.cat([own, 30 * own]))
    assert dry_run.seconds_per_iteration(load_recipe(str(recipe))) == pytest.approx(0.3)
    assert len(made) == 1 + 1


def test_only_the_first_process_speaks(
    capsys: Capture, recipe: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    ran = run(capsys, "train", recipe, "--out", finished, "--resume")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
