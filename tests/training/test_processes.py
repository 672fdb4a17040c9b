"""Two processes see what one with the whole batch would: the same losses, after a resume too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import yaml

from benchmarks.run_contents import contents
from genkit.cli.launch import Launch as Processes
from genkit.cli.launch import _verdict
from genkit.core.errors import CheckpointError
from genkit.core.interruption import LOST, Stopped, stop_flag
from genkit.core.processes import my_rows, whole_batch
from genkit.gan.softmax_weighting import effective_sample_size, softmax_weights
from genkit.training import train
from genkit.training.engine import accelerator_of, asked_to_stop
from genkit.training.log import read_metrics
from genkit.training.peers import ProcessLost
from genkit.training.recipe import Recipe
from genkit.training.trainer import Trainer
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
        stopped_then_resumed(recipe, folder / f"{name}-resumed", stop_at)


def stopped_then_resumed(recipe: Recipe, out: Path, stop_at: int) -> None:
    honest = Trainer.iterate

    def iterate(self: Trainer) -> Any:
        scalars = honest(self)
        if self.step == stop_at and not self.accelerator.is_main_process:
            os.kill(os.getpid(), signal.SIGTERM)
        return scalars

    Trainer.iterate = iterate  # type: ignore[method-assign]
    try:
        train(recipe, out)
        raise AssertionError("the run was not stopped")
    except Stopped as stopped:
        assert stopped.exit_code == 143, stopped.exit_code
    finally:
        Trainer.iterate = honest  # type: ignore[method-assign]
    train(recipe, out, resume=True)


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

    Trainer._average = lambda self, gradients, sound: sound  # type: ignore[method-assign]
    train(RECIPES["penalised"], folder / "gradients")
    from genkit.gan import ratio_clipping, softmax_weighting

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


def signalled_during_the_exchange() -> None:
    accelerator, told = accelerator_of(RECIPES["plain"]), list[bool]()
    exchanged = accelerator.gather

    def gather(tensor: torch.Tensor) -> Any:
        found = exchanged(tensor)
        if not told:
            os.kill(os.getpid(), signal.SIGTERM)
        return found

    accelerator.gather = gather
    with stop_flag() as stop:
        told += [asked_to_stop(accelerator, stop)]
        told += [asked_to_stop(accelerator, stop)]
    assert told == [False, True] and stop.number == signal.SIGTERM


def test_a_signal_during_the_exchange_of_signals_is_heard_by_the_next(tmp_path: Path) -> None:
    assert on_processes(2, signalled_during_the_exchange, tmp_path) == [0, 0]


class Launch:
    """`accelerate launch` of two processes in the background: accelerate, genkit's launcher, and the two."""

    def __init__(self, recipe: Path, out: Path):
        words = ["--num_processes", "2", "--num_machines", "1", "--cpu", "--mixed_precision", "no"]
        words += ["--dynamo_backend", "no", "-m", "genkit", "train", str(recipe), "--out", str(out), "--resume"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        self.out, self.told = out, out.with_name(f"{out.name}.told")
        with open(self.told, "w") as told:
            command = [sys.executable, "-m", "accelerate.commands.launch", *words]
            self.accelerate = psutil.Popen(command, env=environment, stdout=told, stderr=told)
        self.group: dict[str, psutil.Process] = {"accelerate": self.accelerate}

    def wait_for_checkpoint(self) -> dict[str, psutil.Process]:
        """By name, once there is one."""
        deadline = time.monotonic() + 240
        while not list(self.out.glob("checkpoints/step-*")):
            assert self.accelerate.poll() is None and time.monotonic() < deadline, self.told.read_text()
            time.sleep(0.05)
        (launcher,) = self.accelerate.children()
        ranks = {f"rank {child.environ()['RANK']}": child for child in launcher.children()}
        self.group |= {"launcher": launcher, **ranks}
        return self.group

    def outlived_by(self, seconds: float) -> list[psutil.Process]:
        """Processes still there after so long; they are killed then, as they are when a test fails."""
        _, alive = psutil.wait_procs(self.group.values(), timeout=seconds)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return alive

    def lines(self) -> list[str]:
        return [line for line in self.told.read_text().splitlines() if line.startswith("genkit: ")]


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "endless.yaml"
    path.write_text(yaml.safe_dump(points(10**6, every={"checkpoint": 1}).to_dict()))
    return path


@pytest.fixture
def launched(endless: Path, tmp_path: Path) -> Iterator[Launch]:
    started = Launch(endless, tmp_path / "run")
    yield started
    with suppress(psutil.NoSuchProcess):
        started.group |= {str(child.pid): child for child in started.accelerate.children(recursive=True)}
    started.outlived_by(0)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("who", ["accelerate", "launcher"])
def test_no_process_of_a_launch_outlives_it(who: str, number: int, launched: Launch) -> None:
    group = launched.wait_for_checkpoint()
    group[who].send_signal(number)
    assert not launched.outlived_by(30)
    newest = max(p.name for p in launched.out.glob("checkpoints/step-*"))
    step = int(newest.removeprefix("step-"))
    assert launched.lines() == [f"genkit: stopped by SIGTERM after iteration {step}; go on with --resume"]
    assert not (launched.out / ".lock").exists()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_lost_process_is_told_and_ends_the_launch(rank: int, launched: Launch) -> None:
    group = launched.wait_for_checkpoint()
    group[f"rank {rank}"].kill()
    assert not launched.outlived_by(30)
    assert launched.lines() == [
        f"genkit: process {rank} of 2 (killed by SIGKILL) was lost; the run is whole up to its last checkpoint: "
        "go on with --resume"
    ]
    assert "exit status 3" in launched.told.read_text()


def test_verdicts_of_a_group() -> None:
    for codes, asked, expected in (
        ([0, 0], False, 0),
        ([2, LOST], False, 2),
        ([LOST, 1], False, 1),
        ([LOST, -9], False, LOST),
        ([-9, None], False, LOST),
        ([143, 143], True, 143),
        ([-15, LOST], True, 143),
    ):
        assert _verdict(codes, asked, Processes(2, 2)) == expected, codes


ARRIVAL = {"update": 25, "resuming": 1, "finishing": 5}
"""At which arrival in a phase a process dies, where not at its second one; the report is written from the start."""


def die(rank: int, phase: str) -> None:
    """SIGKILL to one process in a phase of the run."""
    from genkit.training import run as run_module
    from genkit.training import saving, show
    from genkit.training.trainer import Trainer

    owner, name = {
        "update": (Trainer, "_average"),
        "copying": (saving, "_share"),
        "writing": (saving, "write_file"),
        "leaving": (saving, "_leave"),
        "publishing": (saving, "publish"),
        "pruning": (run_module, "prune"),
        "drawing": (show, "draw_samples"),
        "resuming": (run_module, "load_checkpoint"),
        "finishing": (run_module, "write_report"),
    }[phase]
    honest, calls = getattr(owner, name), list[int]()

    def deadly(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if int(os.environ["RANK"]) == rank and len(calls) == ARRIVAL.get(phase, 2):
            os.kill(os.getpid(), signal.SIGKILL)
        return honest(*arguments, **named)

    setattr(owner, name, deadly)


def train_until_death(out: Path, rank: int, phase: str) -> None:
    die(rank, phase)
    try:
        train(MORTAL, out, resume=True)
    except ProcessLost as lost:
        assert str(lost).startswith(f"process {rank} of 2 was lost")
        raise SystemExit(lost.exit_code) from lost


def train_to_the_end(out: Path) -> None:
    train(MORTAL, out, resume=True)


MORTAL = points(9, every={"checkpoint": 2, "grid": 3})
DEATHS = [(0, phase) for phase in ("update", "copying", "writing", "publishing", "pruning", "drawing")]
DEATHS += [(0, "resuming")]
DEATHS += [(1, phase) for phase in ("update", "copying", "writing", "leaving", "resuming")]
DEATHS += [(0, "finishing")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert on_processes(2, train_to_the_end, folder, folder / "run") == [0, 0]
    return contents(folder / "run")


@pytest.mark.slow
@pytest.mark.parametrize(("rank", "phase"), DEATHS)
def test_a_resume_after_a_death_at_any_moment_is_exact(
    rank: int, phase: str, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    if phase == "resuming":
        assert set(on_processes(2, train_until_death, tmp_path, out, 0, "pruning")) == {LOST, -signal.SIGKILL}
    codes = on_processes(2, train_until_death, tmp_path, out, rank, phase)
    assert codes[rank] == -signal.SIGKILL and codes[1 - rank] in ({LOST} if phase != "finishing" else {LOST, 0})
    assert on_processes(2, train_to_the_end, tmp_path, out) == [0, 0]
    assert contents(out) == undisturbed
