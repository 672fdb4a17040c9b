"""All processes of a run take part in its pictures and scores, and leave them together."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from accelerate import Accelerator

from benchmarks.small_recipes import read, shrunk, trainings
from genkit.core.crew import Crew
from genkit.core.errors import BadState
from genkit.core.interruption import Interrupted, Stopped, stop_flag
from genkit.training import train
from genkit.training.log import read_metrics
from genkit.training.recipe import Recipe
from genkit.training.sharing import shared
from genkit.training.staged import StagedRecipe
from tests.training.tiny import on_processes

Work = Callable[[Crew], Any]


def left_by_one(of: int, leave: Callable[[], None], at: int) -> Work:
    """Work of three exchanges; process `of` leaves before number `at`."""

    def work(crew: Crew) -> list[int]:
        found = []
        for k in range(3):
            if (crew.rank, k) == (of, at):
                leave()
            found += crew.gathered({crew.rank: 10 * k + crew.rank})
        if (crew.rank, 3) == (of, at):
            leave()
        return found

    return work


def signalled() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class OwnFault(BadState):
    """Of a class that cannot be unpickled, as that of a plug-in may be."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}", 7)


def spoilt() -> None:
    raise OwnFault("a picture", "nothing can be drawn")


def check_leaving(folder: Path) -> None:
    accelerator = Accelerator(cpu=True)
    rank = accelerator.process_index
    for leave, kind in ((signalled, Interrupted), (spoilt, BadState)):
        for of in (0, 1):
            for at in range(4):
                with stop_flag() as stop, pytest.raises(kind) as left:
                    shared(accelerator, left_by_one(of, leave, at), stop)
                assert getattr(left.value, "exit_code", 143) == 143
                assert str(left.value) in ("stopped by SIGTERM", "iteration 7: a picture: nothing can be drawn")
                total = torch.ones(())
                dist.all_reduce(total)
                assert total == 2, "both can go on together"
    with stop_flag() as stop:
        assert shared(accelerator, left_by_one(-1, spoilt, 0), stop) == [0, 1, 10, 11, 20, 21]
    with stop_flag() as stop, pytest.raises(Interrupted):
        shared(accelerator, both_leave, stop)
    (folder / str(rank)).touch()


def both_leave(crew: Crew) -> None:
    crew.gathered({crew.rank: 0})
    signalled() if crew.rank else spoilt_or_stopped()


def spoilt_or_stopped() -> None:
    raise Interrupted(signal.SIGTERM)


def test_whoever_leaves_the_work_takes_the_others_along(tmp_path: Path) -> None:
    assert on_processes(2, check_leaving, tmp_path, tmp_path) == [0, 0]
    assert (tmp_path / "0").is_file() and (tmp_path / "1").is_file()


SCORED: dict[str, dict[str, Any]] = {
    "digits/wgan_ratio_clipping": {"metrics": ["fd", "pr"], "n": 150, "best": "fd"},
    "points/wgan_gp": {"metrics": ["fd"], "n": 700, "best": "fd"},
    "fashion_mnist/exemplar_vae": {"metrics": ["fd"], "n": 60, "best": "fd"},
    "fashion_mnist/ddpm_upsampler": {"metrics": ["fd"], "n": 20, "best": "fd"},
    "fashion_mnist/noisy_classifier": {"metrics": ["accuracy"], "n": 600, "best": "accuracy"},
    "fashion_mnist/directions": {},
}
"""Recipes with a picture or a judge of their own, one of them with stages -> what is scored."""


def still(name: str) -> Recipe | StagedRecipe:
    """A small recipe that is pictured and scored after its first iteration, whose weights do not move: one process and
    two have the same."""
    tree = shrunk(read(name))
    for training in trainings(tree):
        training["train"]["steps"], training["train"]["ema"] = 2, 0.5
        training["every"] = {"log": 1, "grid": 1, "evaluate": 1 if SCORED[name] else 0, "checkpoint": 0}
        for optimizer in training["optimizers"].values():
            optimizer |= {"lr": 1e-30}
    if SCORED[name]:
        tree["evaluate"] = SCORED[name]
    return (StagedRecipe if "stages" in tree else Recipe).from_dict(tree)


def train_still(folder: Path) -> None:
    for name in SCORED:
        train(still(name), folder / name)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    assert on_processes(2, train_still, folder, folder) == [0, 0]
    return folder


def results(run: Path) -> dict[str, Any]:
    """Pictures as bytes, and scores as they were logged and kept."""
    found: dict[str, Any] = {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*.png"))}
    for path in sorted(run.rglob("scores.json")):
        found[str(path.relative_to(run))] = json.loads(path.read_text())["values"]
    for path in sorted(run.rglob("metrics.jsonl")):
        rows = read_metrics(path)
        found[str(path.relative_to(run))] = [[v for k, v in row.items() if k.startswith("eval/")] for row in rows]
    return found


@pytest.mark.parametrize("name", SCORED)
def test_pictures_and_scores_are_those_of_one_process(name: str, two: Path, tmp_path: Path) -> None:
    one = results(train(still(name), tmp_path / "one"))
    assert one == results(two / name)
    assert any(key.endswith(".png") for key in one) or name == "fashion_mnist/noisy_classifier"
    assert any(key.endswith("scores.json") for key in one) == bool(SCORED[name])


def stopped_at_a_score(folder: Path) -> None:
    """Process 1 alone gets a signal, while both score."""
    from genkit.evaluation import reading

    recipe, honest, rank = still("digits/wgan_ratio_clipping"), reading.Reader._features, int(os.environ["RANK"])

    def features(self: Any, *arguments: Any) -> Any:
        if rank == 1:
            signalled()
        return honest(self, *arguments)

    reading.Reader._features = features
    with pytest.raises(Stopped) as stopped:
        train(recipe, folder / "run")
    assert stopped.value.exit_code == 143
    reading.Reader._features = honest
    train(recipe, folder / "run", resume=True)


def test_a_signal_to_one_process_stops_the_scoring_of_all(two: Path, tmp_path: Path) -> None:
    assert on_processes(2, stopped_at_a_score, tmp_path, tmp_path) == [0, 0]
    assert results(tmp_path / "run") == results(two / "digits/wgan_ratio_clipping")
