"""train.compile over networks that draw noise: graph breaks where they draw, and else the training of plain ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch._dynamo as dynamo
from torch import nn

from genkit.core import processes
from genkit.training.checkpoint import load_checkpoint, save_checkpoint
from tests.contracts.specs import ENCODER, NOISY, PLAIN_DDPM, UNET
from tests.training.test_preparation import prepared, walk

pytestmark = pytest.mark.slow

STEPS = 10
"""More than the eight times that torch compiles a function anew before it gives up."""
FLAT = {"multipliers": [1], "attention": [], "dropout": 0.3}
SYSTEMS: dict[str, dict[str, Any]] = {
    "denoiser": {"type": "ddpm_training", "generator": {**PLAIN_DDPM, "network": {**UNET, **FLAT}}},
    "classifier": {"type": "noisy_classifier_training", "classifier": {**NOISY, "network": {**ENCODER, **FLAT}}},
}


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Reason -> number of graph breaks. By the cheapest compiler: which code comes out is not our affair."""
    compile = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda m: compile(m, backend="eager"))
    dynamo.reset()
    dynamo.utils.counters.clear()
    yield dynamo.utils.counters["graph_break"]
    dynamo.reset()


def graphs() -> int:
    return dynamo.utils.counters["stats"]["unique_graphs"]


@pytest.mark.parametrize("learner", SYSTEMS)
def test_dropout_breaks_graphs_and_nothing_else(learner: str, breaks: Counter[str], tmp_path: Path) -> None:
    plain, made, again = (
        prepared(SYSTEMS[learner], learner, steps=STEPS, compile=compile) for compile in (False, True, True)
    )
    straight = walk(made, 2)
    save_checkpoint(made, tmp_path)
    compiled = graphs()
    straight += walk(made, STEPS - 2)
    assert compiled == graphs() > 0, "an iteration was compiled anew"
    assert breaks and all("torch.compiler.disable" in reason for reason in breaks), dict(breaks)
    for mine, other in zip(straight, walk(plain, STEPS), strict=True):
        assert mine == pytest.approx(other, rel=1e-5, abs=1e-5)
    load_checkpoint(again, next(path for path in tmp_path.iterdir() if path.is_dir()))
    assert walk(again, STEPS - 2) == straight[2:]


def test_draws_that_are_traced_would_be_noticed(breaks: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_drawn", lambda draw, *given: draw(*given))
    walk(prepared(SYSTEMS["denoiser"], "denoiser", steps=STEPS, compile=True), 3)
    assert not all("torch.compiler.disable" in reason for reason in breaks)
