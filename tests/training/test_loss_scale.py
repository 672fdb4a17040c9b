"""fp16 with scaled losses, on a CPU that stands in for a GPU: accelerate's scaler and autocast, told to work here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from benchmarks.run_contents import contents
from genkit.core.errors import BadState, RecipeError
from genkit.training import stages, train
from genkit.training.engine import accelerator_of
from genkit.training.loss_scale import LEAST, LossScale
from genkit.training.preparation import checked, prepare
from genkit.training.recipe import Recipe
from genkit.training.trainer import Trainer
from tests.training.tiny import images, points

GROWTH = 3
"""Steps without an overflow after which the scale is doubled; 2,000 in earnest."""


def stand_in(scale: float = 2.0**12) -> Accelerator:
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()
    accelerator = Accelerator(cpu=True, mixed_precision="fp16")
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=GROWTH)
    accelerator.native_amp = True
    return accelerator


def recipe(steps: int = 6, **sections: Any) -> Recipe:
    return images(steps, train={"precision": "fp16"}, **sections)


def trainer(scale: float = 2.0**12) -> Trainer:
    return prepare(recipe(), stand_in(scale))[1]


def test_networks_run_in_fp16_and_gradients_are_those_of_full_precision() -> None:
    seen: list[torch.dtype] = []
    low, full = trainer(), prepare(images(6), Accelerator(cpu=True))[1]
    low.system.critic.register_forward_hook(lambda module, x, y: seen.append(y.dtype))
    reports = [of.iterate() for of in (low, full)]
    assert set(seen) == {torch.float16}
    for name, value in reports[1].items():
        torch.testing.assert_close(reports[0][name].float(), value, rtol=0.05, atol=0.02)
    assert reports[0]["critic/gradient_norm"] > 0


def test_small_gradients_do_not_vanish() -> None:
    weight, x = torch.nn.Linear(4, 1, bias=False), torch.full((1, 4), 1e-4)
    norms = []
    for scale in (1.0, 2.0**16):
        losses = LossScale(torch.amp.GradScaler("cpu", init_scale=scale))
        optimizer = torch.optim.SGD(weight.parameters(), 1.0)
        with torch.autocast("cpu", torch.float16):
            loss = (weight(x).float() * 1e-5).sum()
        losses.scaled(loss).backward()
        losses.unscale(optimizer)
        norms.append(weight.weight.grad.norm().item())
        optimizer.zero_grad()
    assert norms[0] == 0 and norms[1] == pytest.approx(2e-9, rel=0.01)


def test_a_step_that_overflows_is_left_out_and_the_scale_halved() -> None:
    made = trainer(2.0**40)
    before = [p.detach().clone() for p in made.parameters["critic"]]
    report = made.iterate()
    assert report["critic/gradient_norm"] == 0 and all(value.isfinite() for value in report.values())
    assert all(a.equal(b) for a, b in zip(before, made.parameters["critic"], strict=True))
    updates = sum(name.endswith("gradient_norm") for name in report)
    assert made.loss_scale.scaler.get_scale() <= 2.0 ** (40 - updates)
    for _ in range(20):
        made.iterate()
    assert not all(a.equal(b) for a, b in zip(before, made.parameters["critic"], strict=True))


def spoil(module: torch.nn.Module, x: Any, y: torch.Tensor) -> None:
    """Gradients by the scores become infinite."""
    if y.requires_grad:
        y.register_hook(lambda gradient: gradient * float("inf"))


def test_gradients_that_are_finite_at_no_scale_are_a_bad_state() -> None:
    made = trainer(LEAST)
    made.system.critic.register_forward_hook(spoil)
    with pytest.raises(BadState, match=r"loss is not finite .*gradient norm (nan|inf)"):
        for _ in range(4):
            made.iterate()
        made.check()


def test_a_loss_that_is_not_finite_is_a_bad_state_at_any_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer()
    for p in made.system.critic.parameters():
        p.data.fill_(float("nan"))
    with pytest.raises(BadState, match="is not finite"):
        made.iterate()
        made.check()


def test_a_resume_is_exact_and_goes_on_with_the_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "accelerator_of", lambda recipe, out=None: stand_in(2.0**30))
    asked = recipe(8, every={"checkpoint": 1})
    train(asked, tmp_path / "whole")
    honest = Trainer.iterate

    def stopped(self: Trainer) -> Any:
        if self.step == 5:
            raise KeyboardInterrupt
        return honest(self)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "iterate", stopped)
        train(asked, tmp_path / "parts")
    train(asked, tmp_path / "parts", resume=True)
    whole, parts = (contents(tmp_path / name) for name in ("whole", "parts"))
    assert whole == parts
    assert 1 < whole["state"]["loss_scale"]["scale"] < 2.0**30, "it has moved"


def test_it_is_refused_on_a_cpu_with_the_reason() -> None:
    with pytest.raises(RecipeError, match=r"train\.precision: fp16 is for GPUs"):
        accelerator_of(recipe())


def test_it_is_refused_where_a_loss_differentiates_inside() -> None:
    with pytest.raises(RecipeError, match=r"train\.precision: gradient_penalty differentiates inside the loss"):
        checked(points(4, train={"precision": "fp16"}))
    checked(points(4, train={"precision": "bf16"}))
    checked(recipe())
