"""Kills, signals, full disks and rotten files: the result equals an undisturbed run bit for bit."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.run_contents import contents
from genkit.core.errors import CheckpointError
from genkit.core.interruption import Stopped
from genkit.training import run as run_module
from genkit.training import saving, show, train
from genkit.training.checkpoint import complete, newest_good, verify
from genkit.training.recipe import Recipe
from genkit.training.saving import Saving
from genkit.training.trainer import Trainer
from tests.training.tiny import by_example, drain, images, points, start, wait_for

LONG = points(400)
SHORT = {"points": points(18), "dropout": images(14, dropout=0.3), "batch_norm": images(14, norm="batch")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Results of every recipe when nothing happens, each in a fresh process, all at once."""
    runs = {name: tmp_path_factory.mktemp("undisturbed") / name for name in (*SHORT, "long")}
    recipes = {**SHORT, "long": LONG}
    started = {name: start(recipes[name], out) for name, out in runs.items()}
    assert {name: drain(pipe, process) for name, (process, pipe) in started.items()} == dict.fromkeys(runs, 0)
    return {name: contents(out) for name, out in runs.items()}


def kill_once(
    recipe: Recipe, out: Path, rng: random.Random, early: bool, patch: Callable[[], None] | None = None
) -> bool:
    """One life of the run, ended by SIGKILL while it starts, or some iterations later; False if it finished before."""
    process, pipe = start(recipe, out, patch)
    try:
        if not early:
            step = wait_for(pipe, "iteration")
            wait_for(pipe, "iteration", step + rng.randrange(9))
        time.sleep(rng.uniform(0, 0.05))
    except EOFError:
        return False
    finally:
        process.kill()
        process.join()
    return process.exitcode == -signal.SIGKILL


@pytest.mark.slow
def test_twenty_kills_change_nothing(undisturbed: dict[str, Any], tmp_path: Path) -> None:
    rng, kills, out = random.Random(2), 0, tmp_path / "run"
    while kills < 24 and kill_once(LONG, out, rng, early=kills % 4 == 3):
        kills += 1
        for candidate in complete(out / "checkpoints"):
            verify(candidate)
    process, pipe = start(LONG, out)
    assert drain(pipe, process) == 0
    assert kills >= 20
    assert contents(out) == undisturbed["long"]
    hidden = [p for p in out.rglob(".*") if p.name != ".lock"]
    assert not hidden, "nothing half-written is left"


@pytest.mark.parametrize("name", ["dropout", "batch_norm"])
def test_kills_change_nothing_with_dropout_mirroring_and_batch_norm(
    name: str, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    rng, kills = random.Random(3), 0
    while kills < 3 and kill_once(SHORT[name], tmp_path, rng, early=False):
        kills += 1
    process, pipe = start(SHORT[name], tmp_path)
    assert drain(pipe, process) == 0
    assert kills > 0
    assert contents(tmp_path) == undisturbed[name]


def forget_the_optimizers() -> None:
    honest = run_module.load_checkpoint

    def broken(trainer: Trainer, folder: Path) -> dict[str, Any]:
        fresh = {name: rule.over(trainer.parameters[name]) for name, rule in trainer.rules.items()}
        state = honest(trainer, folder)
        trainer.optimizers = fresh
        return state

    run_module.load_checkpoint = broken


def forget_the_window() -> None:
    run_module.Window.restore = lambda self, state: None  # type: ignore[method-assign]


def forget_the_seeding() -> None:
    Trainer.iterate = _unseeded(Trainer.iterate)  # type: ignore[method-assign]


def _unseeded(iterate: Any) -> Any:
    """The noise of networks is torch's global one, which nothing seeds."""
    from contextlib import nullcontext

    import torch

    import genkit.training.trainer as trainer_module

    trainer_module.shared_noise = lambda _: nullcontext()  # type: ignore[assignment]

    def broken(self: Trainer) -> Any:
        seed, torch.manual_seed = torch.manual_seed, lambda _: None  # type: ignore[assignment]
        try:
            return iterate(self)
        finally:
            torch.manual_seed = seed

    return broken


@pytest.mark.parametrize(
    ("name", "breakage"),
    [("points", forget_the_optimizers), ("points", forget_the_window), ("dropout", forget_the_seeding)],
)
def test_a_broken_resume_would_be_noticed(
    name: str, breakage: Any, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    process, pipe = start(SHORT[name], tmp_path, breakage)
    wait_for(pipe, "iteration", 7)
    os.kill(process.pid or 0, signal.SIGTERM)
    assert drain(pipe, process) == 143
    process, pipe = start(SHORT[name], tmp_path, breakage)
    assert drain(pipe, process) == 0
    assert contents(tmp_path) != undisturbed[name]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 128 + signal.SIGUSR1)]
)
def test_a_signal_ends_with_a_checkpoint_and_the_resume_is_exact(
    number: int, code: int, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    for at in (3, 10):  # twice in a row
        process, pipe = start(SHORT["points"], tmp_path)
        wait_for(pipe, "iteration", at)
        os.kill(process.pid or 0, number)
        os.kill(process.pid or 0, signal.SIGTERM)
        assert drain(pipe, process) in {code, 143}
        assert complete(tmp_path / "checkpoints")[-1].name >= f"step-{at:08d}"
    process, pipe = start(SHORT["points"], tmp_path)
    assert "resumed from step-" in wait_for(pipe, "note")
    assert drain(pipe, process) == 0
    assert contents(tmp_path) == undisturbed["points"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_exit_code_is_the_first_signals(number: int, code: int, tmp_path: Path) -> None:
    process, pipe = start(points(5000), tmp_path)
    wait_for(pipe, "iteration", 2)
    os.kill(process.pid or 0, number)
    assert drain(pipe, process) == code


def signal_in_a_save() -> None:
    """SIGTERM twice in the middle of the first checkpoint's files."""
    honest = saving.write_file

    def write(path: Path, content: Any) -> Any:
        if path.name == "ema.safetensors":
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        return honest(path, content)

    saving.write_file = write


def test_a_signal_in_the_middle_of_a_save(undisturbed: dict[str, Any], tmp_path: Path) -> None:
    process, pipe = start(SHORT["points"], tmp_path, signal_in_a_save)
    assert drain(pipe, process) == 143
    assert [verify(p) for p in complete(tmp_path / "checkpoints")]
    process, pipe = start(SHORT["points"], tmp_path)
    assert drain(pipe, process) == 0
    assert contents(tmp_path) == undisturbed["points"]


def limit_file_size() -> None:
    """No file of more than one KiB can be written once the first checkpoint is there."""
    honest = Saving.begin

    def begin(self: Saving, trainer: Trainer, folder: Path, *rest: Any) -> Path:
        self.wait()
        if complete(folder):
            resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
        return honest(self, trainer, folder, *rest)

    Saving.begin = begin  # type: ignore[method-assign]


def test_a_write_that_fails_leaves_the_checkpoint_before(undisturbed: dict[str, Any], tmp_path: Path) -> None:
    process, pipe = start(SHORT["points"], tmp_path, limit_file_size)
    assert drain(pipe, process) == 1
    folder = tmp_path / "checkpoints"
    assert sorted(p.name for p in folder.iterdir()) == ["step-00000004"]
    verify(folder / "step-00000004")
    process, pipe = start(SHORT["points"], tmp_path)
    assert wait_for(pipe, "note") == "resumed from step-00000004"
    assert drain(pipe, process) == 0
    assert contents(tmp_path) == undisturbed["points"]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=120k", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs is not permitted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_one_line_with_path_and_free_space(tiny_disk: Path) -> None:
    out = tiny_disk / "run"
    with pytest.raises(CheckpointError, match=r"cannot write .*disk.*: No space left on device, 0 MiB free") as error:
        train(points(18, every={"keep": 50, "checkpoint": 1}), out)
    assert "\n" not in str(error.value)
    found = complete(out / "checkpoints")
    assert found and newest_good(out / "checkpoints", pytest.fail) == found[-1]
    assert not list((out / "checkpoints").glob(".*"))


def scored_slowly() -> None:
    """Scoring of 30 slow batches, whose score says how many samples it saw."""
    import genkit.evaluation

    def evaluate(product: Any, against: Any, *, progress: Any, **rest: Any) -> Any:
        for done in range(30):
            time.sleep(0.02)
            progress(done, 30)

        class Result:
            def to_json(self) -> dict[str, Any]:
                weight = next(product.parameters()).double().sum().item()
                return {"values": {"fd": weight}, "better": {"fd": "lower"}}

        return Result()

    genkit.evaluation.evaluate = evaluate


SCORED = points(14, every={"evaluate": 5, "keep": 1}, evaluate={"n": 2, "metrics": ["fd"]})


def test_a_signal_during_scoring_stops_at_once_and_the_resume_scores_again(tmp_path: Path) -> None:
    process, pipe = start(SCORED, tmp_path / "straight", scored_slowly)
    assert drain(pipe, process) == 0
    for _ in range(2):
        process, pipe = start(SCORED, tmp_path / "stopped", scored_slowly)
        wait_for(pipe, "scoring", 3)
        os.kill(process.pid or 0, signal.SIGTERM)
        heard = 3
        try:
            while True:
                heard = max(heard, wait_for(pipe, "scoring"))
        except EOFError:
            pass
        process.join()
        assert process.exitcode == 143 and heard < 29
        assert complete(tmp_path / "stopped" / "checkpoints")[-1].name == "step-00000005"
    process, pipe = start(SCORED, tmp_path / "stopped", scored_slowly)
    assert drain(pipe, process) == 0
    straight, stopped = contents(tmp_path / "straight"), contents(tmp_path / "stopped")
    assert [row["step"] for row in straight["metrics"] if "eval/fd" in row] == [5, 10, 14]
    assert stopped == straight


def drawn_slowly() -> None:
    """Grids that take long, after a word that they have begun; once asked to, they are drawn as ever."""
    honest = show.draw_samples

    def draw(generator: Any, path: Path, **how: Any) -> None:
        if path.with_name("slow").exists():
            path.with_name("slow").unlink()
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
            raise AssertionError("the signal was not heard")
        honest(generator, path, **how)

    show.draw_samples = draw


@pytest.mark.parametrize("where", ["grids", "samples"])
@pytest.mark.parametrize("recipe", [points(14, every={"grid": 5, "keep": 9}), by_example(14, every={"grid": 5})])
def test_a_signal_while_a_grid_is_drawn_stops_at_once_and_the_resume_draws_it(
    where: str, recipe: Recipe, tmp_path: Path
) -> None:
    process, pipe = start(recipe, tmp_path / "straight", drawn_slowly)
    assert drain(pipe, process) == 0
    slow = tmp_path / "stopped" / ("grids/slow" if where == "grids" else "slow")
    slow.parent.mkdir(parents=True)
    slow.touch()
    process, pipe = start(recipe, tmp_path / "stopped", drawn_slowly)
    assert drain(pipe, process, 50) == 143 and not slow.exists()
    newest = complete(tmp_path / "stopped" / "checkpoints")[-1]
    due = json.loads((newest / "state.json").read_text())["due"]
    assert (newest.name, due) == (("step-00000005", ["grid"]) if where == "grids" else ("step-00000014", []))
    process, pipe = start(recipe, tmp_path / "stopped", drawn_slowly)
    assert drain(pipe, process) == 0
    assert contents(tmp_path / "stopped") == contents(tmp_path / "straight")
    pictures = [f"grids/{step:08d}.png" for step in (5, 10)] + ["samples.png"]
    assert all(
        (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes() for name in pictures
    )


def test_finishing_twice_writes_each_score_once(tmp_path: Path) -> None:
    for _ in range(2):
        process, pipe = start(SCORED, tmp_path, scored_slowly)
        assert drain(pipe, process) == 0
    assert [row["step"] for row in contents(tmp_path)["metrics"] if "eval/fd" in row] == [5, 10, 14]
    kept = {p.name for p in complete(tmp_path / "checkpoints")}
    assert "step-00000014" in kept and len(kept) <= 2


def test_stopped_says_how_to_go_on() -> None:
    stopped = Stopped(signal.SIGTERM, 7)
    assert stopped.exit_code == 143 and str(stopped) == "stopped by SIGTERM after iteration 7; go on with --resume"
