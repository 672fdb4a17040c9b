"""Promises of every training, held by every shipped recipe, made small, through the command line."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.run_contents import contents
from benchmarks.small_recipes import few_statistics, read, shrunk, trainings
from genkit.training.recipe_file import shipped_recipes
from tests.training.tiny import child, wait_for_checkpoints

pytestmark = pytest.mark.slow

Undisturbed = Callable[[Path], Path]

STEPS, CHECKPOINT, DEATH = 3, 1, 1
OPTIONS: dict[str, dict[str, Any]] = {
    "channels_last": {"channels_last": True},
    "bf16": {"precision": "bf16"},
    "mirror": {"mirror": True},
    "threads": {"threads": 2},
    "no average": {"ema": 0},
}
"""Beside those that the recipes have: diffusion is channels_last, most of it bf16 and mirrored."""

FAMILIES = ("digits/wgan_ratio_clipping", "fashion_mnist/transgan", "mnist/classifier")


def write(name: str, folder: Path, *, eps: float = 0.0, **train: Any) -> Path:
    """The recipe `name`, small, as a file; `eps` of Adam and its kin, if not the recipe's own."""
    tree = shrunk(read(name), STEPS, CHECKPOINT)
    for training in trainings(tree):
        training["train"] |= train
        for optimizer in training["optimizers"].values():
            if optimizer["type"] != "sgd" and eps:
                optimizer["eps"] = eps
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return path


def command_line(*arguments: str, dies_in: int | None = None) -> None:
    """The work of a process that was started as `genkit train ...`."""
    from genkit.cli.main import main

    few_statistics()
    if dies_in is not None:
        die_in(dies_in)
    code = main(["train", *arguments])
    if code:
        raise SystemExit(code)


def die_in(iteration: int) -> None:
    """SIGKILL when iteration `iteration` (from 0) has moved the weights; what came before is on the disk, it is not."""
    from genkit.training.trainer import Trainer

    honest = Trainer.iterate

    def iterate(self: Trainer) -> Any:
        scalars = honest(self)
        if self.step == iteration + 1:
            wait_for_checkpoints()
            os.kill(os.getpid(), signal.SIGKILL)
        return scalars

    Trainer.iterate = iterate  # type: ignore[method-assign]


def alone(recipe: Path, out: Path, **how: Any) -> int | None:
    process = child(partial(command_line, **how), str(recipe), "--out", str(out), "--resume")
    process.join(300)
    return process.exitcode


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """The run of a recipe in one process, made once."""
    runs: dict[str, Path] = {}

    def run(recipe: Path) -> Path:
        text = recipe.read_text(encoding="utf-8")
        if text not in runs:
            runs[text] = tmp_path_factory.mktemp("undisturbed") / "run"
            assert alone(recipe, runs[text]) == 0
        return runs[text]

    return run


def check_killed_and_resumed(recipe: Path, straight: Path) -> None:
    killed = recipe.parent / "killed"
    assert alone(recipe, killed, dies_in=DEATH) == -signal.SIGKILL
    assert [*killed.rglob(f"checkpoints/step-{DEATH:08d}")]
    assert alone(recipe, killed) == 0
    assert contents(killed) == contents(straight)


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_killed_run_goes_on_to_the_same_weights(name: str, undisturbed: Undisturbed, tmp_path: Path) -> None:
    recipe = write(name, tmp_path)
    check_killed_and_resumed(recipe, undisturbed(recipe))


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", FAMILIES)
def test_so_it_does_with_every_option(name: str, option: str, undisturbed: Undisturbed, tmp_path: Path) -> None:
    recipe = write(name, tmp_path, **OPTIONS[option])
    check_killed_and_resumed(recipe, undisturbed(recipe))


def test_so_it_does_with_micro_batches(undisturbed: Undisturbed, tmp_path: Path) -> None:
    recipe = write("fashion_mnist/ddpm", tmp_path, accumulate=2)
    check_killed_and_resumed(recipe, undisturbed(recipe))


def one_of_each() -> list[str]:
    """A shipped recipe for each system, or list of systems of its stages, that its small networks let run in bf16."""
    found = dict[tuple[str, ...], str]()
    for name in shipped_recipes():
        parts = trainings(read(name))
        if all(part["train"].get("precision") != "no" for part in trainings(shrunk(read(name)))):
            found.setdefault(tuple(part["system"]["type"] for part in parts if "system" in part), name)
    return list(found.values())


@pytest.mark.parametrize("name", one_of_each())
def test_every_system_trains_in_bf16(name: str, tmp_path: Path) -> None:
    recipe = write(name, tmp_path, precision="bf16")
    assert alone(recipe, tmp_path / "run") == 0


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_so_it_does_compiled(undisturbed: Undisturbed, tmp_path: Path) -> None:
    recipe = write("fashion_mnist/vae", tmp_path, compile=True)
    check_killed_and_resumed(recipe, undisturbed(recipe))


def without_layouts() -> None:
    from genkit.training import checkpoint

    checkpoint._lay_out = lambda optimizer: None  # type: ignore[assignment]


def test_moments_in_another_layout_would_be_noticed(undisturbed: Undisturbed, tmp_path: Path) -> None:
    recipe = write("fashion_mnist/ddpm", tmp_path)
    assert alone(recipe, tmp_path / "killed", dies_in=DEATH) == -signal.SIGKILL
    process = child(patched, without_layouts, str(recipe), "--out", str(tmp_path / "killed"), "--resume")
    process.join(300)
    assert process.exitcode == 0
    assert contents(tmp_path / "killed") != contents(undisturbed(recipe))


def patched(patch: Any, *arguments: str) -> None:
    patch()
    command_line(*arguments)
