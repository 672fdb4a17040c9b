"""The promises of genkit.core.system.System, held by every system of the catalog."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from genkit.core.errors import RecipeError
from genkit.core.processes import shared_noise
from genkit.core.system import Update, mixing_layer
from genkit.training.checkpoint import load_checkpoint
from genkit.training.saving import save_checkpoint
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer
from tests.contracts.specs import SYSTEM_CASES, SystemCase, make_trainer

cases = pytest.mark.parametrize("case", SYSTEM_CASES.values(), ids=SYSTEM_CASES.keys())


def state(module: torch.nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


def differing(a: dict[str, Tensor], b: dict[str, Tensor]) -> set[str]:
    assert a.keys() == b.keys()
    return {k for k in a if not a[k].equal(b[k])}


class Watched(Trainer):
    """Looks at every update before and after it is performed."""

    def perform(self, update: Update) -> dict[str, Tensor]:
        self.order = [*getattr(self, "order", []), update.learner]
        self.at_rest("before")
        assert self.twice(update), f"the loss of the {update.learner} is not a function of what it is given"
        before = {k: p.clone() for k, p in self.system.named_parameters()}
        report = super().perform(update)
        mine = {id(p) for p in self.parameters[update.learner]}
        for name, parameter in self.system.named_parameters():
            assert id(parameter) in mine or parameter.equal(before[name]), (
                f"{name} moved in the {update.learner}'s turn"
            )
        assert any(not p.equal(before[k]) for k, p in self.system.named_parameters()), f"no {update.learner} moved"
        self.at_rest("after")
        return report

    def twice(self, update: Update) -> bool:
        """Whether two calls agree, the buffers that networks keep (batch and spectral norms) put back in between."""
        values, buffers = [], [b.clone() for b in self.system.buffers()]
        for seed in (7, 7):
            torch.manual_seed(seed)
            torch.rand(1)
            with shared_noise(seed):
                values.append({k: v.detach().clone() for k, v in update.loss(**update.on, **update.shared).items()})
            for buffer, old in zip(self.system.buffers(), buffers, strict=True):
                buffer.copy_(old)
        return not differing(*values)

    def at_rest(self, when: str) -> None:
        for name, parameter in self.system.named_parameters():
            assert not parameter.requires_grad, f"{name} is not frozen {when} an update"
            assert parameter.grad is None, f"{name} has a stray gradient {when} an update"


@cases
def test_losses_are_pure_updates_touch_their_learner_alone_and_come_in_order(case: SystemCase) -> None:
    trainer = make_trainer(case, kind=Watched)
    for _ in range(2):
        trainer.order = []
        scalars = trainer.iterate()
        assert tuple(trainer.order) == case.order
    trainer.at_rest("after an iteration")
    assert all(v.isfinite() and not v.requires_grad for v in scalars.values())
    assert {name.split("/")[0] for name in scalars} == set(case.order)


@cases
def test_what_differentiates_twice_says_so(case: SystemCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else train.compile would fail in the first iteration, after minutes."""
    trainer, grad, with_graph = make_trainer(case), torch.autograd.grad, list[bool]()

    def watched(*given: Any, create_graph: bool = False, **options: Any) -> Any:
        with_graph.append(create_graph)
        return grad(*given, create_graph=create_graph, **options)

    monkeypatch.setattr(torch.autograd, "grad", watched)
    trainer.iterate()
    said = any(getattr(module, "differentiates_twice", False) for module in trainer.system.modules())
    assert any(with_graph) == said


def test_the_watch_notices_an_impure_loss() -> None:
    trainer = make_trainer(SYSTEM_CASES["gan_training-0"], kind=Watched)
    honest, calls = trainer.system.critic_loss, []

    def impure(**on: Tensor) -> dict[str, Tensor]:
        calls.append(1)
        return {k: v * len(calls) for k, v in honest(**on).items()}

    trainer.system.critic_loss = impure
    with pytest.raises(AssertionError, match="not a function"):
        trainer.iterate()


def test_the_watch_notices_a_graph_into_another_player() -> None:
    trainer = make_trainer(SYSTEM_CASES["gan_training-0"], kind=Watched)
    trainer.system.critic.requires_grad_(True)
    with pytest.raises(AssertionError, match="not frozen"):
        trainer.iterate()


@cases
def test_accumulation_equals_the_whole_batch_or_is_refused(case: SystemCase) -> None:
    sgd = {"type": "sgd", "lr": case.rate, "momentum": 0.5}
    whole = make_trainer(case, optimizer=sgd)
    updates: list[Update] = []
    perform = whole.perform
    whole.perform = lambda update: (updates.append(update), perform(update))[1]  # type: ignore[method-assign, func-returns-value]
    for _ in range(2):
        whole.iterate()
    if any(update.coupled for update in updates) or mixing_layer(whole.system):
        with pytest.raises(RecipeError, match=r"train\.accumulate: .* couples the samples"):
            make_trainer(case, accumulate=4, optimizer=sgd).iterate()
        return
    split = make_trainer(case, accumulate=4, optimizer=sgd)
    for _ in range(2):
        split.iterate()
    if case.noisy:
        agree_without_noise(case)
        return
    for (name, a), b in zip(whole.system.state_dict().items(), split.system.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, msg=lambda m, name=name: f"{name}: {m}")


class Quiet(Trainer):
    """The networks' own noise is left out, and what a spectral norm keeps from pass to pass stays as it was."""

    def perform(self, update: Update) -> dict[str, Tensor]:
        self.system.eval()
        return super().perform(update)


def agree_without_noise(case: SystemCase) -> None:
    """Systems whose networks draw noise are compared without it: in eval mode, from the same first weights."""
    whole, split = (
        make_trainer(case, accumulate=k, optimizer={"type": "sgd", "lr": case.rate}, kind=Quiet) for k in (1, 4)
    )
    before = state(whole.system)
    for trainer in (whole, split):
        trainer.iterate()
    assert differing(before, state(whole.system))
    for (name, a), b in zip(whole.system.state_dict().items(), split.system.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, msg=lambda m, name=name: f"{name}: {m}")


def run(trainer: Trainer, iterations: int) -> list[dict[str, float]]:
    return [{k: v.item() for k, v in trainer.iterate().items()} for _ in range(iterations)]


def resumed(case: SystemCase, folder: Path) -> tuple[Trainer, list[dict[str, float]]]:
    """Three iterations, then a new trainer of other first weights that goes on for three."""
    first = make_trainer(case)
    scalars = run(first, 3)
    second = make_trainer(case, seed=5)
    second.stream.seed = 0
    load_checkpoint(second, save_checkpoint(first, folder))
    assert second.step == 3 and second.stream.position == first.stream.position
    return second, scalars + run(second, 3)


def apart(a: Trainer, b: Trainer) -> set[str]:
    found = differing(state(a.system), state(b.system)) | differing(state(a.ema.module), state(b.ema.module))
    for name, optimizer in a.optimizers.items():
        mine, other = optimizer.state_dict()["state"], b.optimizers[name].state_dict()["state"]
        found |= {f"{name}.{i}.{k}" for i in mine for k in mine[i] if not mine[i][k].equal(other[i][k])}
        assert mine.keys() == other.keys()
    return found


@cases
def test_resume_is_exact(case: SystemCase, tmp_path: Path) -> None:
    straight = make_trainer(case)
    want = run(straight, 6)
    again, got = resumed(case, tmp_path)
    assert got == want
    assert not apart(straight, again)
    assert (straight.step, straight.stream.position) == (again.step, again.stream.position)


def forget_position(trainer: Trainer) -> None:
    trainer.stream.position = 0


def forget_optimizer(trainer: Trainer) -> None:
    for name, parameters in trainer.parameters.items():
        trainer.optimizers[name] = trainer.rules[name].over(parameters)


def forget_average(trainer: Trainer) -> None:
    trainer.ema.module.load_state_dict(trainer.system.product.state_dict())


@pytest.mark.parametrize("forget", [forget_position, forget_optimizer, forget_average])
def test_a_resume_that_forgets_is_noticed(
    forget: Callable[[Trainer], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = SYSTEM_CASES["gan_training-3"]
    straight = make_trainer(case)
    run(straight, 6)

    def forgetful(trainer: Trainer, folder: Path) -> None:
        load_checkpoint(trainer, folder)
        stream: Stream = trainer.stream
        position = stream.position
        forget(trainer)
        assert forget is forget_position or stream.position == position

    first, second = make_trainer(case), make_trainer(case, seed=5)
    second.stream.seed = 0
    run(first, 3)
    forgetful(second, save_checkpoint(first, tmp_path))
    run(second, 3)
    assert apart(straight, second)
