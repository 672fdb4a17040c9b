"""Promises of two processes, held by every shipped recipe, made small, through the command line."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.run_contents import contents
from genkit.training.log import read_metrics
from genkit.training.recipe_file import shipped_recipes
from tests.contracts.small_runs import DEATH, FAMILIES, alone, command_line, write
from tests.training.tiny import on_processes

pytestmark = pytest.mark.slow


def together(recipe: Path, out: Path, **how: Any) -> list[int | None]:
    return on_processes(2, partial(command_line, **how), out.parent, str(recipe), "--out", str(out), "--resume")


MAGNIFIED = {
    **{"visda/domain_adaptation": 1e-2, "visda/domain_adaptation_closed_form": 3e-3},
    **dict.fromkeys(("afhq256/styleex", "ffhq256/styleex"), 3e-3),
}
"""Whose small version magnifies rounding: a ResNet of weights, on 16 pixels, has gradients of norm 10,000, and one of a
classifier of norm 100."""


def scalars(run: Path) -> list[dict[str, float]]:
    """Of all stages, where there are such."""
    rows = [row for log in sorted(run.rglob("metrics.jsonl")) for row in read_metrics(log)]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def assert_close(a: list[dict[str, float]], b: list[dict[str, float]], rel: float) -> None:
    assert len(a) == len(b)
    for one, two in zip(a, b, strict=True):
        assert one == pytest.approx(two, rel=rel, abs=1e-5), f"iteration {one['step']}"


@pytest.mark.parametrize("name", shipped_recipes())
def test_two_processes_have_the_losses_of_one(name: str, tmp_path: Path) -> None:
    """But for the order of sums. Adam makes a whole step of a gradient that is zero but for its last bit, as that of a
    Wasserstein critic's offset is, so its eps is larger here.
    """
    recipe = write(name, tmp_path, eps=1e-3, precision="no")
    assert alone(recipe, tmp_path / "one") == 0
    assert together(recipe, tmp_path / "two") == [0, 0]
    assert_close(scalars(tmp_path / "one"), scalars(tmp_path / "two"), MAGNIFIED.get(name, 3e-4))


@pytest.mark.parametrize(
    "name", [*FAMILIES, "mnist/exemplar_vae", "mnist/domain_adaptation", "lsun_church64/vaebm", "shapes/styleex"]
)
def test_two_killed_processes_go_on_to_the_same_weights(name: str, tmp_path: Path) -> None:
    recipe = write(name, tmp_path)
    assert together(recipe, tmp_path / "straight") == [0, 0]
    assert together(recipe, tmp_path / "killed", dies_in=DEATH) == [-signal.SIGKILL] * 2
    assert [*(tmp_path / "killed").rglob(f"checkpoints/step-{DEATH:08d}")]
    assert together(recipe, tmp_path / "killed") == [0, 0]
    assert contents(tmp_path / "killed") == contents(tmp_path / "straight")
