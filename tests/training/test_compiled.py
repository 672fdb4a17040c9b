"""train.compile over networks that draw noise: whole graphs, and the training of plain ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._dynamo as dynamo
from torch import nn

from genkit.core import processes
from genkit.training.checkpoint import load_checkpoint
from genkit.training.saving import save_checkpoint
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
def test_a_network_with_dropout_is_one_graph(learner: str, breaks: Counter[str], tmp_path: Path) -> None:
    plain, made, again = (
        prepared(SYSTEMS[learner], learner, steps=STEPS, compile=compile) for compile in (False, True, True)
    )
    straight = walk(made, 2)
    save_checkpoint(made, tmp_path)
    compiled = graphs()
    straight += walk(made, STEPS - 2)
    assert compiled == graphs() > 0, "an iteration was compiled anew"
    assert not breaks, dict(breaks)
    for mine, other in zip(straight, walk(plain, STEPS), strict=True):
        assert mine == pytest.approx(other, rel=1e-5, abs=1e-5)
    load_checkpoint(again, next(path for path in tmp_path.iterdir() if path.is_dir()))
    assert walk(again, STEPS - 2) == straight[2:]


def test_draws_that_are_traced_would_be_noticed(breaks: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As they would be the same in every iteration, the seed being a constant of the graph."""
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: False)
    plain = walk(prepared(SYSTEMS["denoiser"], "denoiser", steps=STEPS), 3)
    compiled = graphs()
    made = prepared(SYSTEMS["denoiser"], "denoiser", steps=STEPS, compile=True)
    found = walk(made, 3)
    assert breaks or graphs() > compiled + 1 or found != [pytest.approx(terms, rel=1e-5, abs=1e-5) for terms in plain]


def test_two_equal_draws_of_a_compiled_function_differ() -> None:
    """By the compiler that training has: it joins equal operators, but not random ones; and each run draws anew."""
    twice = torch.compile(lambda x: (processes.network_normal(x, 3), processes.network_normal(x, 3)))
    x, runs = torch.zeros(4), []
    for seed in (0, 1, 0):
        with processes.shared_noise(seed):
            runs.append(torch.stack(twice(x)))
    assert not runs[0][0].equal(runs[0][1]) and not runs[0].equal(runs[1]) and runs[0].equal(runs[2])
    dynamo.reset()
