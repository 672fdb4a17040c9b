"""Two processes see what one with the whole batch would: the same losses, after a resume too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from genkit.errors import CheckpointError
from genkit.processes import my_rows, whole_batch
from genkit.recipe import Recipe
from genkit.techniques.softmax_weighting import effective_sample_size, softmax_weights
from genkit.training import train
from genkit.training.log import read_metrics
from genkit.training.signals import StopFlag, Stopped
from tests.training.tiny import MLP_C, adapted, by_example, finish, images, on_processes, points

STEPS = 7
ROOT = Path(__file__).parents[2]


def plain() -> Recipe:
    system = {
        "type": "gan_training",
        "generator": {"type": "gan", "network": {"type": "mlp_generator", "latent_dim": 3, "width": 8, "depth": 2}},
        "critic": MLP_C,
        "critic_steps": 2,
    }
    return finish(system, {"type": "gaussians8", "n": 50}, STEPS, {})


RECIPES = {
    "plain": plain(),
    "penalised": points(STEPS, clipped=False),
    "clipped": points(STEPS),
    "images": images(STEPS),
    "by_example": by_example(STEPS),
    "adapted": adapted(STEPS),
}


def losses(run: Path) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_metrics(run / "metrics.jsonl")]


def apart(a: list[dict[str, float]], b: list[dict[str, float]]) -> float:
    """The largest difference of two logs, relative where values are large."""
    assert [row.keys() for row in a] == [row.keys() for row in b]
    return max(abs(x[k] - y[k]) / max(1.0, abs(x[k])) for x, y in zip(a, b, strict=True) for k in x)


def train_all(folder: Path, stop_at: int) -> None:
    """Every recipe straight through, and again stopped by a signal to the second process and resumed."""
    for name, recipe in RECIPES.items():
        train(recipe, folder / name)
        reconnect()
        stopped_then_resumed(recipe, folder / f"{name}-resumed", stop_at)


def stopped_then_resumed(recipe: Recipe, out: Path, stop_at: int) -> None:
    from genkit.training import run as run_module

    honest = run_module.Run._asked_to_stop

    def asked(self: Any, stop: StopFlag) -> bool:
        if self.trainer.step == stop_at and not self.main:
            stop.number = 15
        return honest(self, stop)

    run_module.Run._asked_to_stop = asked  # type: ignore[method-assign]
    try:
        train(recipe, out)
        raise AssertionError("the run was not stopped")
    except Stopped as stopped:
        assert stopped.exit_code == 143, stopped.exit_code
    finally:
        run_module.Run._asked_to_stop = honest  # type: ignore[method-assign]
    reconnect()
    train(recipe, out, resume=True)
    reconnect()


def reconnect() -> None:
    """A run closes its group at its end; these tests go on in the same processes."""
    from accelerate.state import AcceleratorState, PartialState

    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    count_file = Path(os.environ["GENKIT_MEETING"])
    reconnect.calls = getattr(reconnect, "calls", 0) + 1  # type: ignore[attr-defined]
    AcceleratorState._reset_state(True)
    PartialState._reset_state()
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{count_file}-{reconnect.calls}",  # type: ignore[attr-defined]
        rank=rank,
        world_size=count,
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    assert on_processes(2, train_all, folder, folder, 5) == [0, 0]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_two_processes_have_the_losses_of_one(name: str, two: Path, tmp_path: Path) -> None:
    one = train(RECIPES[name], tmp_path / name)
    assert apart(losses(one), losses(two / name)) <= 1e-5
    assert json.loads((two / name / "environment.json").read_text())["processes"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_resume_on_two_processes_is_exact(name: str, two: Path) -> None:
    assert losses(two / f"{name}-resumed") == losses(two / name)
    assert (two / f"{name}-resumed/weights/model.safetensors").read_bytes() == (
        two / name / "weights/model.safetensors"
    ).read_bytes()


def train_unsynchronised(folder: Path) -> None:
    from genkit.training.trainer import Trainer

    Trainer._average = lambda self, gradients: None  # type: ignore[method-assign]
    train(RECIPES["penalised"], folder / "gradients")
    reconnect()
    from genkit.techniques import ratio_clipping, softmax_weighting

    ratio_clipping.whole_batch = softmax_weighting.whole_batch = lambda values: values.detach()
    softmax_weighting.my_rows = lambda values: values
    train(RECIPES["clipped"], folder / "coupled")


@pytest.mark.slow
def test_missing_synchronisation_would_be_noticed(two: Path, tmp_path: Path) -> None:
    assert on_processes(2, train_unsynchronised, tmp_path, tmp_path) == [0, 0]
    for name, broken in (("penalised", "gradients"), ("clipped", "coupled")):
        assert apart(losses(two / name), losses(tmp_path / broken)) > 1e-3


def check_whole_batch() -> None:
    rank = int(os.environ["RANK"])
    score = torch.tensor([0.0, 3.0, -1.0, 2.0])
    mine = score.chunk(2)[rank].requires_grad_(True)
    everyone = whole_batch(mine)
    assert everyone.equal(score) and not everyone.requires_grad
    assert my_rows(everyone).equal(mine)
    weights = softmax_weights(mine)
    torch.testing.assert_close(weights, 4 * score.softmax(0).chunk(2)[rank])
    ess = effective_sample_size(weights)
    torch.testing.assert_close(ess, 1 / score.softmax(0).square().sum())


def test_weights_are_a_softmax_over_all_processes(tmp_path: Path) -> None:
    assert on_processes(2, check_whole_batch, tmp_path) == [0, 0]


def train_in_a_taken_folder(out: Path) -> None:
    try:
        train(RECIPES["plain"], out)
    except CheckpointError as error:
        raise SystemExit(2 if "--resume" in str(error) else 3) from error


@pytest.mark.slow
def test_nobody_waits_for_a_first_process_that_has_failed(tmp_path: Path) -> None:
    train(RECIPES["plain"], tmp_path / "taken")
    started = time.monotonic()
    codes = on_processes(2, train_in_a_taken_folder, tmp_path, tmp_path / "taken")
    assert time.monotonic() - started < 60
    assert codes[0] == 2 and codes[1] != 0


def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--num_machines", "1"]
    command += ["--cpu", "--mixed_precision", "no", "--dynamo_backend", "no", "-m", "genkit"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.slow
def test_accelerate_launch_from_the_command_line(two: Path, tmp_path: Path) -> None:
    recipe, out = tmp_path / "tiny.yaml", tmp_path / "run"
    recipe.write_text(yaml.safe_dump(RECIPES["clipped"].to_dict()))
    done = launch("train", str(recipe), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert losses(out) == losses(two / "clipped")
    assert json.loads((out / "environment.json").read_text())["processes"] == 2
    assert done.stdout.count("finished tiny") == 1, "only the first process speaks"


@pytest.mark.slow
def test_accelerate_launch_into_a_taken_folder_ends_at_once(two: Path) -> None:
    recipe, started = two / "tiny.yaml", time.monotonic()
    recipe.write_text(yaml.safe_dump(RECIPES["clipped"].to_dict()))
    before = losses(two / "clipped")
    again = launch("train", str(recipe), "--out", str(two / "clipped"))
    assert again.returncode != 0 and time.monotonic() - started < 60
    assert again.stderr.count("holds a run already") == 1
    assert losses(two / "clipped") == before
