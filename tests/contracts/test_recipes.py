"""Promises of every training, held by every shipped recipe, made small, through the command line."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.run_contents import contents
from benchmarks.small_recipes import read, shrunk, trainings
from genkit.core.pretrained import Pretrained
from genkit.training.log import read_metrics
from genkit.training.recipe_file import shipped_recipes
from tests.contracts.small_runs import DEATH, FAMILIES, alone, command_line, write
from tests.training.tiny import child

pytestmark = pytest.mark.slow

Undisturbed = Callable[[Path], Path]

OPTIONS: dict[str, dict[str, Any]] = {
    "channels_last": {"channels_last": True},
    "bf16": {"precision": "bf16"},
    "mirror": {"mirror": True},
    "threads": {"threads": 2},
    "no average": {"ema": 0},
}
"""Beside those that the recipes have: diffusion is channels_last, most of it bf16 and mirrored."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """The run of a recipe in one process, made once."""
    runs: dict[str, Path] = {}

    def run(recipe: Path) -> Path:
        text = recipe.read_text(encoding="utf-8")
        if text not in runs:
            runs[text] = tmp_path_factory.mktemp("undisturbed") / "run"
            assert alone(recipe, runs[text], reports=True) == 0
        return runs[text]

    return run


def check_killed_and_resumed(recipe: Path, straight: Path) -> None:
    killed = recipe.parent / "killed"
    assert alone(recipe, killed, dies_in=DEATH) == -signal.SIGKILL
    assert [*killed.rglob(f"checkpoints/step-{DEATH:08d}")]
    assert alone(recipe, killed) == 0
    assert contents(killed) == contents(straight)


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_run_learns_and_leaves_a_product_and_goes_on_when_killed_to_the_same_weights(
    name: str, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    recipe = write(name, tmp_path)
    straight = undisturbed(recipe)
    tree = read(name)
    for stage, training in tree.get("stages", {"": tree}).items():
        rows = read_metrics(straight / stage / "metrics.jsonl")
        assert [row["step"] for row in rows] == [1, 2, 3]
        assert all(rows[1][f"{learner}/gradient_norm"] > 0 for learner in training["optimizers"])
    Pretrained.from_pretrained(straight)
    assert "<svg" in (straight / "report.html").read_text(encoding="utf-8")
    check_killed_and_resumed(recipe, straight)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", FAMILIES)
def test_so_it_does_with_every_option(name: str, option: str, undisturbed: Undisturbed, tmp_path: Path) -> None:
    recipe = write(name, tmp_path, **OPTIONS[option])
    check_killed_and_resumed(recipe, undisturbed(recipe))


def test_so_it_does_with_micro_batches(undisturbed: Undisturbed, tmp_path: Path) -> None:
    recipe = write("fashion_mnist/ddpm", tmp_path, accumulate=2)
    check_killed_and_resumed(recipe, undisturbed(recipe))


def one_of_each() -> list[str]:
    """A shipped recipe for each system, or list of systems of its stages, of which none is in bf16 and tested above."""
    found = dict[tuple[str, ...], str]()
    for name in shipped_recipes():
        tree = read(name)
        systems = tuple(part["system"]["type"] for part in trainings(tree) if "system" in part)
        precisions = {part["train"].get("precision") for part in trainings(shrunk(tree))}
        if precisions == {"bf16"}:
            found[systems] = ""
        elif "no" not in precisions:  # of small networks that bf16 does not take
            found.setdefault(systems, name)
    return [name for name in found.values() if name]


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
