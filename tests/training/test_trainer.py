from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from genkit.core.errors import BadState, RecipeError, TrainingError
from genkit.core.frozen import freeze
from genkit.core.generator import LatentGenerator
from genkit.core.system import Data, Learning, System, Terms, Turns, Update, descend, observe
from genkit.training.log import Window
from genkit.training.optimizers import SGD, Adam, Adamax, AdamEntryClip, AdamNormGrad, AdamW
from genkit.training.rate_schedules import Linear
from genkit.training.saving import save_checkpoint
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer
from tests.training.sources import Numbers


class Scaled(LatentGenerator):
    sample_shape = (1,)

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def prior(self, n: int, rng: torch.Generator | None = None) -> Tensor:
        return torch.randn(n, 1, generator=rng)

    def forward(self, z: Tensor, condition: Any = None) -> Tensor:
        return self.scale * z


class Toy(System):
    """Descends factor * scale, so that the gradient is `factor`."""

    learners = {"generator": ("generator",)}  # noqa: RUF012

    def __init__(self, factor: float = 3.0):
        super().__init__()
        self.generator, self.factor = Scaled(), factor
        self.other = nn.Linear(1, 1)

    def iteration(self, data: Data, step: int) -> Turns:
        report = yield Update("generator", self.loss, {"x": next(data).x})
        self.heard = report

    def loss(self, x: Tensor) -> Terms:
        return descend(loss=self.factor * self.generator.scale.sum()) | observe(seen=x.mean())


def trainer(system: System, accumulate: int = 1, **rule: Any) -> Trainer:
    rules = {"generator": SGD(**{"lr": 0.1, **rule})}
    return Trainer(system, Stream(Numbers(8), 8, seed=0), rules, steps=4, accumulate=accumulate, ema_decay=0.0)


def test_a_step_is_the_rate_times_the_gradient_and_the_report_comes_back() -> None:
    made = trainer(Toy())
    scalars = made.iterate()
    assert made.system.generator.scale.item() == pytest.approx(1 - 0.1 * 3)
    assert scalars["generator/gradient_norm"].item() == pytest.approx(3)
    assert scalars["generator/loss"].item() == pytest.approx(3) and scalars["generator/seen"].item() == 3.5
    assert made.system.heard["gradient_norm"].item() == pytest.approx(3)
    assert made.step == 1 and made.ema.module.scale.item() == pytest.approx(0.7)


def test_the_gradient_is_clipped_and_the_norm_before_is_told() -> None:
    made = trainer(Toy(), clip_norm=0.5)
    assert made.iterate()["generator/gradient_norm"].item() == pytest.approx(3)
    assert made.system.generator.scale.item() == pytest.approx(1 - 0.1 * 0.5, abs=1e-6)
    loose = trainer(Toy(), clip_norm=5.0)
    loose.iterate()
    assert loose.system.generator.scale.item() == pytest.approx(0.7)


def test_rates_follow_the_schedule() -> None:
    made = trainer(Toy(1.0), schedule=Linear())
    for _ in range(4):
        made.iterate()
    assert made.system.generator.scale.item() == pytest.approx(1 - 0.1 * (1 + 0.75 + 0.5 + 0.25))


def test_accumulation_averages_terms_and_gradients() -> None:
    made = trainer(Toy(), accumulate=4)
    scalars = made.iterate()
    assert made.system.generator.scale.item() == pytest.approx(0.7)
    assert scalars["generator/seen"].item() == pytest.approx(3.5) and scalars["generator/loss"].item() == pytest.approx(
        3
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_moves_nothing_and_is_told_when_somebody_asks(bad: float) -> None:
    made = trainer(Toy())
    made.iterate()
    made.check()
    before = {k: v.clone() for k, v in made.system.state_dict().items()}
    made.system.factor = bad
    made.iterate()
    assert all(v.equal(before[k]) for k, v in made.system.state_dict().items())
    assert made.ema.module.scale.equal(before["generator.scale"])
    assert all(p.grad is None and not p.requires_grad for p in made.system.parameters())
    made.system.factor = 3.0
    made.iterate()
    with pytest.raises(
        BadState, match=r"iteration 1: the generator's loss is not finite \(loss .*gradient norm"
    ) as told:
        made.check()
    assert told.value.step == 1
    made.check()


def test_the_first_of_several_is_told() -> None:
    made = trainer(Toy())
    for factor in (3.0, math.nan, math.inf):
        made.system.factor = factor
        made.iterate()
    with pytest.raises(BadState, match=r"^iteration 1: .*loss nan"):
        made.check()


def test_nothing_comes_of_a_state_that_is_not_finite(tmp_path: Path) -> None:
    made = trainer(Toy(math.nan))
    for look in (made.averaged, partial(save_checkpoint, made, tmp_path)):
        made.iterate()
        with pytest.raises(BadState, match="loss nan"):
            look()
    assert not list(tmp_path.iterdir())


def test_what_was_before_a_resume_is_forgotten() -> None:
    made = trainer(Toy(math.nan))
    made.iterate()
    made.go_to(0, 0)
    made.check()


def test_reports_are_read_before_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genkit.training.reports.MOST", 3)
    made = trainer(Toy(math.nan))
    made.iterate()
    made.iterate()
    with pytest.raises(BadState, match=r"^iteration 0: "):
        made.iterate()


def test_an_error_that_comes_of_it_is_told_by_its_cause() -> None:
    """What a system makes of a number that is not finite is not what the user should read."""

    class Reading(Toy):
        def iteration(self, data: Data, step: int) -> Turns:
            yield from super().iteration(data, step)
            int(self.heard["loss"])

    made = trainer(Reading(math.nan))
    with pytest.raises(BadState, match=r"^iteration 0: the generator's loss is not finite \(loss nan"):
        made.iterate()


OPTIMIZERS = {
    "sgd": SGD(lr=0.1),
    "momentum": SGD(lr=0.1, momentum=0.9),
    **{kind.__name__: kind(lr=0.1, clip_norm=1.0) for kind in (Adam, AdamW, AdamNormGrad, AdamEntryClip, Adamax)},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_optimiser_lets_such_numbers_in(name: str) -> None:
    rules = {"generator": OPTIMIZERS[name]}
    made = Trainer(Toy(), Stream(Numbers(8), 8, seed=0), rules, steps=4, ema_decay=0.0)
    for factor in (3.0, math.nan, 3.0):
        made.system.factor = factor
        made.iterate()
    state = made.optimizers["generator"].state_dict()["state"]
    kept = [value for one in state.values() for value in one.values() if isinstance(value, Tensor)]
    assert all(value.isfinite().all() for value in (*kept, *made.system.parameters(), *made.ema.module.parameters()))


class Asked(TorchDispatchMode):
    """Notes every time that the value of a tensor is asked for, which would make a GPU wait."""

    times = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.times += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("accumulate", [1, 4])
def test_an_iteration_asks_the_device_for_nothing(accumulate: int) -> None:
    made, window = trainer(Toy(), accumulate, clip_norm=0.5), Window()
    made.iterate()
    with Asked() as asked:
        for _ in range(3):
            window.add(made.iterate())
        assert asked.times == 0
        bool(made.system.generator.scale.sum() > 0)
    assert asked.times == 1, "it would be noticed"


def test_an_observation_that_is_not_finite_stops_too() -> None:
    made = trainer(Toy())
    made.system.loss = lambda x: descend(loss=made.system.generator.scale.sum()) | observe(seen=x.mean() * math.nan)
    made.iterate()
    with pytest.raises(BadState, match="seen nan"):
        made.check()


def test_a_loss_without_the_learner_is_refused() -> None:
    made = trainer(Toy())
    made.system.loss = lambda x: {"loss": made.system.other(x).mean()}
    with pytest.raises(TrainingError, match=r"term 'loss' of .* does not depend on the generator; .* by observe"):
        made.iterate()


def test_a_diagnostic_that_kept_its_graph_is_not_descended() -> None:
    """And a term whose graph was lost is an error, not a line of the log."""
    made = trainer(Toy())
    made.system.loss = lambda x: (
        descend(loss=3 * made.system.generator.scale.sum()) | observe(seen=100 * made.system.generator.scale.sum())
    )
    assert made.iterate()["generator/seen"].item() == pytest.approx(100)
    assert made.system.generator.scale.item() == pytest.approx(1 - 0.1 * 3)
    made.system.loss = lambda x: descend(
        loss=made.system.generator.scale.sum(), lost=made.system.generator.scale.detach().sum()
    )
    with pytest.raises(TrainingError, match=r"term 'lost' of .* does not depend on the generator"):
        made.iterate()
    made.system.loss = lambda x: observe(seen=x.mean())
    with pytest.raises(TrainingError, match="has no term to descend"):
        made.iterate()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), r"optimizers: the generator has none; learners: generator"),
        (("generator", "generater"), r"optimizers\.generater: there is no such learner; did you mean 'generator'"),
    ],
)
def test_optimizers_must_name_the_learners(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Trainer(Toy(), Stream(Numbers(8), 8, seed=0), dict.fromkeys(names, SGD(lr=0.1)), steps=1)


def test_a_batch_that_cannot_be_split_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"train\.accumulate: 8 rows a process cannot be split into 3"):
        trainer(Toy(), accumulate=3)


def test_two_learners_of_one_name_are_refused() -> None:
    class Twice(Toy):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Toy()

    with pytest.raises(RecipeError, match="two learners of Twice are called 'generator'"):
        Twice().all_learners()
    assert isinstance(Toy(), Learning)


def test_the_networks_own_noise_is_a_function_of_seed_and_iteration() -> None:
    class Noisy(Toy):
        def loss(self, x: Tensor) -> Terms:
            return descend(loss=self.generator.scale.sum()) | observe(noise=torch.rand(()))

    a, b = trainer(Noisy()), trainer(Noisy())
    first = a.iterate()["generator/noise"]
    torch.manual_seed(99)
    assert b.iterate()["generator/noise"].equal(first)
    assert not a.iterate()["generator/noise"].equal(first)


class Observing(Toy):
    """Tells of every sample, beside its loss."""

    def loss(self, x: Tensor) -> Terms:
        each, pair = 10 * x.squeeze(1), torch.stack([x.min(), x.max()]).view(1, 2)
        return super().loss(x) | observe(each=each, pair=pair)


@pytest.mark.parametrize("accumulate", [1, 2, 8])
def test_what_is_observed_of_each_sample_comes_back_whole_and_is_logged_by_its_mean(accumulate: int) -> None:
    made = trainer(Observing(), accumulate)
    seen: list[Tensor] = []
    perform = made.perform
    made.perform = lambda update: (seen.append(update.on["x"]), perform(update))[1]  # type: ignore[method-assign]
    scalars = made.iterate()
    heard = made.system.heard
    assert heard["each"].equal(10 * seen[0].squeeze(1)), "in the order of the batch"
    assert heard["pair"].shape == (accumulate, 2)
    assert scalars["generator/each"].item() == pytest.approx(35) and scalars["generator/each"].dim() == 0
    assert made.system.generator.scale.item() == pytest.approx(0.7), "observations are not descended"


def test_one_sample_that_is_not_finite_stops_too() -> None:
    made = trainer(Toy(), 2)
    made.system.loss = lambda x: descend(loss=made.system.generator.scale.sum()) | observe(each=1 / (x.squeeze(1) - 3))
    made.iterate()
    with pytest.raises(BadState, match="each inf"):
        made.check()
    assert made.system.generator.scale.item() == 1


class Deep(Scaled):
    """With a part that comes from elsewhere, a batch norm and a learner of its own in it."""

    def __init__(self) -> None:
        super().__init__()
        self.part = freeze(Part())


class Part(Learning):
    learners = {"part": ("layer",)}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(1, 1), nn.BatchNorm1d(1)


def test_a_frozen_part_is_no_learner_and_moves_with_none() -> None:
    system = Toy()
    system.generator = Deep()
    made = trainer(system, weight_decay=0.5)
    assert made.learners.keys() == {"generator"} and [p.numel() for p in made.parameters["generator"]] == [1]
    before = {k: v.clone() for k, v in system.generator.part.state_dict().items()}
    system.train()
    made.iterate()
    assert all(v.equal(before[k]) for k, v in system.generator.part.state_dict().items())
    assert made.ema.module.part is system.generator.part and not system.generator.part.norm.training
    assert system.generator.scale.item() != 1


def test_a_learner_that_is_all_frozen_is_refused() -> None:
    system = Toy()
    freeze(system.generator)
    with pytest.raises(RecipeError, match="system: the generator is given as weights, which are frozen"):
        trainer(system)
