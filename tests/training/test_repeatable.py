"""Determinism of GPUs, as far as it shows without one; tests/gpu has the rest."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from benchmarks.small_recipes import read, shrunk
from genkit.core.errors import TrainingError
from genkit.training.preparation import prepare
from genkit.training.recipe import Recipe
from genkit.training.recipe_file import shipped_recipes
from genkit.training.repeatable import repeatable

ELSEWHERE = torch.device("meta")


def flags() -> tuple[bool, bool, bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
        torch._C._is_multithreading_enabled(),
    )


def test_only_inside_and_only_off_the_cpu() -> None:
    before = flags()
    with repeatable(ELSEWHERE):
        assert flags() == (True, False, False, False)
    assert flags() == before
    for device, wanted in ((torch.device("cpu"), True), (ELSEWHERE, False)):
        with repeatable(device, wanted):
            assert flags() == before


def test_what_cannot_is_told_with_the_way_out() -> None:
    before = flags()
    complaint = "adaptive_max_pool2d_backward_cuda does not have a deterministic implementation, but you set ..."
    told = r"adaptive_max_pool2d_backward_cuda cannot .* train\.deterministic=false"
    with pytest.raises(TrainingError, match=told), repeatable(ELSEWHERE):
        raise RuntimeError(complaint)
    with pytest.raises(RuntimeError, match="out of memory"), repeatable(ELSEWHERE):
        raise RuntimeError("out of memory")
    assert flags() == before


class Watched(torch.autograd.Function):
    """Notes whether autograd may use threads, on the way there and back."""

    threads: list[bool] = []  # noqa: RUF012 - emptied by the test

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        Watched.threads.append(torch._C._is_multithreading_enabled())
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        return Watched.apply(gradient)


def watch(module: nn.Module, given: Any, y: Any) -> Any:
    return Watched.apply(y) if isinstance(y, Tensor) and y.requires_grad else y


@pytest.mark.parametrize("name", [n for n in shipped_recipes() if "stages" not in read(n)])
def test_no_loss_lets_autograd_use_threads_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.inference_mode(False) did, in the gradient penalties."""
    Watched.threads.clear()
    monkeypatch.setattr("genkit.training.trainer.repeatable", lambda device, wanted: repeatable(ELSEWHERE, wanted))
    recipe = Recipe.from_dict(shrunk(read(name), steps=1))
    _, trainer = prepare(recipe, Accelerator(cpu=True))
    for module in trainer.system.modules():
        if any(True for _ in module.parameters(recurse=False)):
            module.register_forward_hook(watch)
    trainer.iterate()
    assert len(Watched.threads) > 1 and not any(Watched.threads)
