"""The best checkpoint is kept apart: falls go back beyond it, and a kill between any two writes loses nothing."""

from __future__ import annotations

import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from genkit.training.checkpoint import complete
from genkit.training.rollback import falls_of
from tests.training.test_faults import kill_once
from tests.training.test_rollback import EVERY, falling_at_one_place, trained
from tests.training.tiny import points


def falling_after_its_best() -> None:
    """Scores are best at iteration 8, and what is learned from there is bad until the rates are low."""
    from genkit.training.show import Show

    falling_at_one_place()
    Show.scores = _scored  # type: ignore[method-assign]


def _scored(self: Any, stop: Any, best: Any, seed: int) -> tuple[dict[str, Any], bool]:
    value = abs(self.trainer.step - 8.0)
    return {"values": {"fd": value}, "seed": seed}, best is None or value < best["value"]


SCORED = {
    "every": EVERY | {"evaluate": 4, "keep": 5},
    "evaluate": {"against": {"type": "gaussians25", "n": 200}, "metrics": ["fd"], "n": 100, "select": True},
}


@pytest.mark.parametrize("kills", [0, 5])
def test_falls_go_back_beyond_the_best_checkpoint_which_is_kept(kills: int, tmp_path: Path) -> None:
    recipe, out, rng = points(20, clipped=False, rollback={"lr": 0.5}, **SCORED), tmp_path / "run", random.Random(3)
    for k in range(kills):
        kill_once(recipe, out, rng, early=k % 2 == 1, patch=falling_after_its_best)
    assert trained(recipe, out, falling_after_its_best) == 0
    done = complete(out / "checkpoints")[-1]
    assert [(fall["at"], fall["to"]) for fall in falls_of(out / "checkpoints")] == [
        (14, 12), (14, 8), (14, 4), (14, 0), (14, 0),
    ]  # fmt: skip
    best = json.loads((out / "best.json").read_text())
    assert best == {"metric": "fd", "value": 0.0, "checkpoint": "best-00000008-0"}
    assert [path.name for path in (out / "checkpoints").glob("best-*")] == ["best-00000008-0"]
    chosen, kept, last = (
        load_file(path)
        for path in (
            next((out / "weights").glob("*.safetensors")),
            out / "checkpoints" / best["checkpoint"] / "ema.safetensors",
            done / "ema.safetensors",
        )
    )
    assert all(torch.equal(kept[name], value) for name, value in chosen.items())
    assert not all(torch.equal(last[name], value) for name, value in chosen.items())


def dying_before_it_is_kept() -> None:
    """SIGKILL once the checkpoint that is the best is written, and before it is kept apart."""
    from genkit.training import best, run

    falling_after_its_best()
    run.keep_apart = best.keep_apart = _die  # type: ignore[assignment]


def _die(checkpoint: Path, final: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_kill_before_the_best_is_kept_apart_loses_nothing(tmp_path: Path) -> None:
    recipe, out = points(20, clipped=False, rollback={"lr": 0.5}, **SCORED), tmp_path / "run"
    assert trained(recipe, out, dying_before_it_is_kept) == -signal.SIGKILL
    assert not list((out / "checkpoints").glob("best-*"))
    assert trained(recipe, out, falling_after_its_best) == 0
    assert json.loads((out / "best.json").read_text())["checkpoint"] == "best-00000008-0"
    assert [path.name for path in (out / "checkpoints").glob("best-*")] == ["best-00000008-0"]
