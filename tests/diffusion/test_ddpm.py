from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from genkit.core import catalog
from genkit.core.errors import ConditionError, RecipeError
from genkit.core.randomness import Rows
from genkit.core.system import Update
from genkit.diffusion.ddpm import DDPM, DDPMTraining
from genkit.diffusion.losses import BoundLoss, Hybrid, Simple, variational_bound
from genkit.diffusion.multistep import DPMSolver
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import DDIM, Ancestral
from genkit.diffusion.step_choice import SecondMoment
from genkit.training.optimizers import Adam
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer
from tests.contracts.specs import DDPM as DDPM_SPEC
from tests.contracts.specs import DIGITS, UNET, seeded
from tests.diffusion.toys import Toy


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ddpm(network: dict[str, Any] | None = None, **process: Any) -> DDPM:
    return DDPM(Toy(**{"variance": True, **(network or {})}), Process(**{"steps": 100, **process}))


def pictures(n: int = 4) -> Tensor:
    return torch.randint(256, (n, 1, 4, 4), generator=rng(1)) / 127.5 - 1


def test_a_learned_variance_needs_an_output() -> None:
    for variance in ("learned", "learned_range"):
        with pytest.raises(
            RecipeError, match=f"learns its variance \\({variance}\\), but the network makes 1"
        ) as refusal:
            DDPM(Toy(), Process(100, variance=variance))
        assert "set variance: true in the network" in str(refusal.value) and "\n" not in str(refusal.value)
    DDPM(Toy(variance=True), Process(100, variance="fixed_large"))


@pytest.mark.parametrize("solver", [Ancestral("ddim400"), DDIM("0"), Ancestral(1), DPMSolver(101)])
def test_an_impossible_solver_is_refused_when_it_is_built(solver: Any) -> None:
    with pytest.raises(RecipeError, match=r"^steps"):
        DDPM(Toy(variance=True), Process(100), solver)


@pytest.mark.parametrize("count", [2, 3, 6, 8, 9, 25])
def test_few_steps_with_all_the_noise_give_numbers(count: int) -> None:
    """1 - abar - sigma^2 is zero at the end of the cosine schedule, and less by rounding."""
    model = DDPM(Toy(variance=True), Process(1000), DDIM(count, eta=1.0))
    assert model.sample(8, rng=rng()).isfinite().all()


def test_the_solver_is_part_of_the_config() -> None:
    model = ddpm()
    assert model.config["solver"] == {"type": "ancestral", "steps": "", "variance": None}
    model.solver = DDIM(10, eta=0.5)
    assert model.config["solver"] == {"type": "ddim", "steps": 10, "eta": 0.5}


@pytest.mark.parametrize(
    ("process", "loss"), [({}, Hybrid), ({"variance": "learned"}, Hybrid), ({"variance": "fixed_small"}, Simple)]
)
def test_the_loss_follows_the_variance_unless_told(process: dict[str, Any], loss: type) -> None:
    assert type(DDPMTraining(ddpm(**process)).loss) is loss
    assert type(DDPMTraining(ddpm(**process), BoundLoss()).loss) is BoundLoss


def test_losses_and_processes_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(RecipeError, match="the simple loss does not train the learned_range variance"):
        DDPMTraining(ddpm(), Simple())
    with pytest.raises(RecipeError, match="the hybrid loss trains the variance, but it is fixed_large"):
        DDPMTraining(ddpm(variance="fixed_large"), Hybrid())
    with pytest.raises(RecipeError, match="50 histories for 20 steps"):
        DDPMTraining(ddpm(steps=20), steps=SecondMoment())


def test_label_dropout_needs_a_network_that_knows_no_label() -> None:
    for network in ({}, {"classes": 3}):
        with pytest.raises(RecipeError, match='label_dropout: the network knows no "no label"'):
            DDPMTraining(ddpm(network), label_dropout=0.1)
    with pytest.raises(RecipeError, match="label_dropout"):
        catalog.build({"type": "ddpm_training", "generator": DDPM_SPEC, "label_dropout": 1.0})


def updates(system: DDPMTraining, batch_size: int = 64, seed: int = 0) -> Update:
    stream = Stream(catalog.build({**DIGITS, "size": 4}), batch_size, seed=seed)
    stream.begin(0)
    return next(iter(system.iteration(stream, 0)))


def test_the_share_of_labels_that_is_dropped() -> None:
    network = {"classes": 10, "unlabelled": True}
    labels = updates(DDPMTraining(ddpm(network), label_dropout=0.3), 900).on["label"]
    assert (labels == 10).float().mean().item() == pytest.approx(0.3, abs=0.05)
    kept = updates(DDPMTraining(ddpm(network)), 900).on["label"]
    assert kept.max() == 9 and labels[labels < 10].equal(kept[labels < 10])
    assert updates(DDPMTraining(ddpm())).on["label"] is None, "data with labels, a network without"


def test_an_update_weighs_the_loss_and_tells_it_unweighted() -> None:
    system = DDPMTraining(ddpm(), BoundLoss(), SecondMoment(groups=4, history=1))
    on = updates(system, 8).on
    process = system.generator.process
    output = system.generator.output(process.noised(on["x0"], on["i"], on["noise"]), process.timesteps[on["i"]], None)
    each = BoundLoss()(process, output, on["x0"], on["noise"], on["i"])["bound"]
    weight = torch.rand(8, generator=rng())
    terms = system.denoising_loss(**{**on, "weight": weight})
    torch.testing.assert_close(terms["bound"], (weight * each).mean())
    torch.testing.assert_close(terms["loss_per_sample"], each.detach())
    assert terms["bound"].requires_grad and not any(v.requires_grad for k, v in terms.items() if k != "bound")
    assert {f"noise_quarter_{k}" for k in (1, 2, 3, 4)} < set(terms)


def test_the_loss_is_the_sum_of_its_terms() -> None:
    system = DDPMTraining(ddpm())
    terms = system.denoising_loss(**updates(system, 8).on)
    torch.testing.assert_close((terms["mse"] + terms["bound"]).detach(), terms["loss_per_sample"].mean())


def trainer(system: DDPMTraining, batch_size: int = 32) -> Trainer:
    stream = Stream(catalog.build(DIGITS), batch_size, seed=0)
    return Trainer(system, stream, {"denoiser": Adam(lr=3e-3)}, steps=60, ema_decay=0.9)


def test_sixty_steps_lower_the_loss() -> None:
    """A new network answers zero, which is an error of one."""
    process = {"type": "process", "steps": 200, "prediction": "v"}
    made = trainer(DDPMTraining(seeded({"type": "ddpm", "network": {**UNET, "variance": True}, "process": process})))
    losses = [made.iterate()["denoiser/mse"].item() for _ in range(60)]
    first, last = sum(losses[:3]) / 3, sum(losses[-15:]) / 15
    assert 0.6 < first < 1.3 and last < 0.5 * first, (first, last)


def test_importance_sampling_learns_from_the_losses_of_the_batch() -> None:
    steps = SecondMoment(groups=4, history=2)
    made = trainer(DDPMTraining(seeded(DDPM_SPEC), BoundLoss(), steps), 16)
    draws: list[Tensor] = []
    perform = made.perform

    def spied(update: Update) -> dict[str, Tensor]:
        report = perform(update)
        draws.append(torch.stack([update.on["i"].float(), report["loss_per_sample"]]))
        return report

    made.perform = spied  # type: ignore[method-assign]
    made.iterate()
    assert steps.seen.sum() == 16
    i, losses = draws[0].long()[0], draws[0][1]
    last = {int(g): losses[k].item() ** 2 for k, g in enumerate(steps.group[i])}
    for group, square in last.items():
        assert square in [pytest.approx(v) for v in steps.squares[group].tolist()]


def test_log_likelihood_is_a_function_of_the_rng_and_of_each_image_alone() -> None:
    model, x = ddpm(kept="10"), pictures()
    before = torch.get_rng_state()
    whole = model.log_likelihood(x, rng=rng())
    assert model.log_likelihood(x, rng=rng()).nats.equal(whole.nats)
    assert not model.log_likelihood(x, rng=rng(1)).nats.equal(whole.nats)
    assert torch.get_rng_state().equal(before)
    shared = rng()
    parts = [model.log_likelihood(x[a:b], rng=shared) for a, b in ((0, 1), (1, 4))]
    torch.testing.assert_close(torch.cat([p.nats for p in parts]), whole.nats, rtol=1e-5, atol=1e-4)
    changed = x.clone()
    changed[3] = -x[3]
    torch.testing.assert_close(model.log_likelihood(changed, rng=rng()).nats[:3], whole.nats[:3], rtol=1e-5, atol=1e-4)
    assert whole.nats.dtype == torch.float64 and not whole.nats.requires_grad and (whole.nats < 0).all()


def test_log_likelihood_is_the_bound_of_the_respaced_process_and_sees_every_step_once() -> None:
    model, x, seen = ddpm(), pictures(), []
    model.watch = lambda done, total: seen.append((done, total))
    got = model.log_likelihood(x, rng=rng(), steps="5")
    assert seen == [(k, 5) for k in range(1, 6)] and got.bound == "variational lower bound, 5 steps"
    denoising = model.denoising({}).on(model.process.with_settings(kept="5"))
    with torch.no_grad():
        assert variational_bound(denoising, x, Rows(4, rng())).nats.equal(got.nats)
    assert model.log_likelihood(x, rng=rng(), steps=5).nats.equal(got.nats)
    assert model.log_likelihood(x, rng=rng()).bound == "variational lower bound, 100 steps"
    for impossible in ("0", 0, "1", "ddim400"):
        with pytest.raises(RecipeError, match=r"^steps '"):
            model.log_likelihood(x, steps=impossible)


def test_log_likelihood_takes_labels() -> None:
    model, x = ddpm({"classes": 3}, kept="5"), pictures()
    one, two = (model.log_likelihood(x, condition={"label": y}, rng=rng()).nats for y in (0, 2))
    assert not one.allclose(two)
    mixed = model.log_likelihood(x, condition={"label": [0, 2, 0, 2]}, rng=rng()).nats
    torch.testing.assert_close(mixed, torch.where(torch.arange(4) % 2 == 0, one, two))
    assert model.log_likelihood(x, rng=rng()).nats.isfinite().all(), "labels are drawn"
    with pytest.raises(ConditionError, match="takes 0 to 2, got 3"):
        model.log_likelihood(x, condition={"label": 3})


def test_log_likelihood_is_taken_in_eval_mode() -> None:
    spec = {**DDPM_SPEC, "network": {**DDPM_SPEC["network"], "dropout": 0.5}}
    model, x = seeded(spec).train(), torch.zeros(2, 1, 8, 8)
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    wanted = {"condition": {"label": 0}, "steps": "4"}
    assert model.log_likelihood(x, rng=rng(), **wanted).nats.equal(model.log_likelihood(x, rng=rng(), **wanted).nats)
    assert model.training
