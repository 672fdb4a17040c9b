"""Training runs where accelerate would: on the accelerator that is there, or where it is told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genkit.core.computing import Computing, computing_by
from genkit.core.errors import RecipeError
from genkit.training import engine
from genkit.training.engine import accelerator_of
from tests.core.test_computing import accelerators
from tests.training.tiny import points


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What accelerate is asked for."""
    found: dict[str, Any] = {}
    state = SimpleNamespace(num_processes=1, device=None)

    def partial_state(cpu: bool, timeout: object) -> Any:
        found["state"] = state
        return state

    def accelerator(cpu: bool, **settings: Any) -> None:
        found.update(cpu=cpu, precision=settings["mixed_precision"])

    monkeypatch.setattr(engine, "PartialState", partial_state)
    monkeypatch.setattr(engine, "Accelerator", accelerator)
    return found


@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
def test_an_accelerator_is_used(monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], kind: str) -> None:
    accelerators(monkeypatch, kind, 1)
    accelerator_of(points())
    assert asked["cpu"] is False and asked["state"].device == torch.device(kind)
    with computing_by(Computing(torch.device("cpu"))):
        accelerator_of(points())
    assert asked["cpu"] is True and asked["state"].device == torch.device("cpu")


def test_fp16_is_for_gpus(monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]) -> None:
    accelerators(monkeypatch, "cuda", 1)
    accelerator_of(points(train={"precision": "fp16"}))
    assert asked["precision"] == "fp16"


@pytest.mark.parametrize(("kind", "gpus"), [("mps", 4), ("cuda", 1)])
def test_processes_do_not_share_a_gpu(monkeypatch: pytest.MonkeyPatch, kind: str, gpus: int) -> None:
    accelerators(monkeypatch, kind, gpus)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(RecipeError, match=r"2 processes need a GPU each, and this machine has 1; .* with --cpu"):
        accelerator_of(points())
