"""Losses, gradients and training trajectories of the robust-OT authors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from genkit import foreign
from genkit.core.chi_square import ball_penalty, normalised
from genkit.core.errors import RecipeError
from genkit.core.system import Batch
from genkit.gan.gan import GAN, GANTraining
from genkit.gan.gradient_penalty import GradientPenalty
from genkit.gan.networks.mlp import MLPCritic, MLPGenerator
from genkit.gan.objectives import Hinge, NonSaturating, Objective, Wasserstein
from genkit.gan.reused_ascent import ReusedAscent
from genkit.gan.robust_weights import (
    ClosedFormWeights,
    OfficialRobustWeights,
    RobustWeights,
    weight_fit,
)
from genkit.gan.slots import Judged
from genkit.training.optimizers import Adam
from genkit.training.trainer import Trainer
from tests.shared import shared

OBJECTIVES: dict[str, Objective] = {"wasserstein": Wasserstein(), "hinge": Hinge(), "ns": NonSaturating()}
RHOS = (0.0, 0.025, 0.1, 0.5)
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


@pytest.fixture(scope="module")
def losses() -> dict[str, Tensor]:
    return load_file(shared("fixtures/robust_ot/losses/io.safetensors"))


def leaf(losses: dict[str, Tensor], name: str) -> Tensor:
    return losses[name].squeeze(1).clone().requires_grad_(True)


def same(got: Tensor | None, want: Tensor) -> None:
    assert got is not None
    torch.testing.assert_close(got, want.squeeze(1) if want.dim() == 2 else want.squeeze(), **CLOSE)


@pytest.mark.parametrize("i", range(4))
def test_penalty_and_its_gradient(losses: dict[str, Tensor], i: int) -> None:
    raw = leaf(losses, "raw_weights")
    weights = normalised(raw)
    same(weights.detach(), losses["weights"])
    penalty = ball_penalty(weights, RHOS[i])
    penalty.backward()
    same(penalty.detach(), losses[f"rho{i}.penalty"])
    same(raw.grad, losses[f"rho{i}.penalty.d_raw"])


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("i", range(4))
def test_loss_of_the_weight_network(losses: dict[str, Tensor], name: str, i: int) -> None:
    raw, score = leaf(losses, "raw_weights"), leaf(losses, "score_real")
    weights = normalised(raw)
    loss = weight_fit(OBJECTIVES[name], score, weights) + ball_penalty(weights, RHOS[i])
    loss.backward()
    same(loss.detach(), losses[f"rho{i}.{name}.weight_loss"])
    same(raw.grad, losses[f"rho{i}.{name}.weight_loss.d_raw"])
    same(score.grad, losses[f"rho{i}.{name}.weight_loss.d_score"])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_terms_of_critic_and_generator(losses: dict[str, Tensor], name: str) -> None:
    objective, weights = OBJECTIVES[name], losses["weights"].squeeze(1)
    real, fake = leaf(losses, "score_real"), leaf(losses, "score_fake")
    official = OfficialRobustWeights(MLPCritic(2, 4, 1), rho=0.1)
    terms = official.weighted(objective.critic_real, real, weights), objective.critic_fake(fake).mean()
    sum(terms).backward()
    same(terms[0].detach(), losses[f"{name}.critic_real"])
    same(terms[1].detach(), losses[f"{name}.critic_fake"])
    same(real.grad, losses[f"{name}.d_score_real"])
    same(fake.grad, losses[f"{name}.d_score_fake"])
    fake.grad = None
    loss = -objective.reward(fake).mean()
    loss.backward()
    same(loss.detach(), losses[f"{name}.gen_loss"])
    same(fake.grad, losses[f"{name}.gen.d_score_fake"])


def test_weights_beside_their_resnet_critic_may_be_negative() -> None:
    network = MLPCritic(2, 4, 1)
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    answer = network(x).detach()
    assert answer.min() < 0 < answer.max()
    assert OfficialRobustWeights(network, rho=0.1).raw(x).equal(answer.relu())
    assert OfficialRobustWeights(network, rho=0.1, relu=False).raw(x).equal(answer)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_weight_outside_is_the_domain_adaptation_loss(losses: dict[str, Tensor], name: str) -> None:
    """There the weighted side is the target, which the critic takes for real data's counterpart."""
    source, target = leaf(losses, "score_real"), leaf(losses, "score_fake")
    weights, objective = losses["weights"].squeeze(1), OBJECTIVES[name]
    weighting = RobustWeights(MLPCritic(2, 4, 1), rho=0.1)
    loss = objective.critic_real(source).mean() + weighting.weighted(objective.critic_fake, target, weights)
    loss.backward()
    same(loss.detach(), losses[f"da.{name}.loss"])
    same(source.grad, losses[f"da.{name}.d_source"])
    same(target.grad, losses[f"da.{name}.d_target"])


@pytest.mark.parametrize("i", range(4))
def test_closed_form_weights_are_the_cone_programmes(i: int) -> None:
    folder = shared("fixtures/robust_ot/discrete_weights")
    io, case = load_file(folder / "io.safetensors"), json.loads((folder / "config.json").read_text())["cases"][i]
    weighting = ClosedFormWeights(rho=case["rho"])
    list(weighting.turns(None, {}, 0))
    score = io[f"case{i}.scores"]
    weights = weighting(Judged(score, {}, score, None))
    torch.testing.assert_close(weights.double(), io[f"case{i}.weights"], rtol=0, atol=1e-4)
    assert (weights.double() * score.double()).sum().item() == pytest.approx(case["objective"], rel=1e-4)


class Recorded:
    """Batches, latents and interpolation weights of the authors' run, one of each an iteration."""

    def __init__(self, io: dict[str, Tensor]):
        self.io, self.step, self.seed, self.mine = io, 0, 0, slice(0, len(io["batch.0"]))

    def begin(self, step: int) -> None:
        self.step = step

    def __next__(self) -> Batch:
        x = self.io[f"batch.{self.step}"]
        return Batch(x, {}, torch.arange(len(x)))

    def normal(self, *shape: int) -> Tensor:
        return self.io[f"noise.{self.step}"]

    def uniform(self) -> Tensor:
        alpha = self.io.get(f"alpha.{self.step}")
        return torch.zeros(len(self.io["batch.0"])) if alpha is None else alpha.squeeze(1)


def official(folder: Path) -> tuple[Trainer, dict[str, Tensor], dict]:
    io, config = load_file(folder / "io.safetensors"), json.loads((folder / "config.json").read_text())
    state = load_file(folder / "weights.safetensors")
    generator, critic, weights = load(state, config)
    weighting = OfficialRobustWeights(weights.network, rho=config["rho"], every=config["weight_update_every"])
    system = GANTraining(
        GAN(generator),
        critic.network,
        objective=OBJECTIVES[config["loss"]],
        real_weighting=weighting,
        penalties=[GradientPenalty(config["gp_lamb"])] if config["regularization"] else [],
        rule=ReusedAscent(config["disc_iters"]),
    ).train()
    betas = (config["beta1D"], config["beta2D"])
    adam = {"critic": Adam(lr=config["lrD"], betas=betas), "generator": Adam(lr=config["lrG"], betas=betas)}
    trainer = Trainer(system, Recorded(io), {**adam, "weights": adam["critic"]}, steps=config["steps"])
    return trainer, io, config


def load(state: dict[str, Tensor], config: dict) -> list[torch.nn.Module]:
    return [
        foreign.load(f"robust-ot/{name}", state, config)
        for name in ("dcgan_generator", "dcgan_critic", "dcgan_weights")
    ]


@pytest.mark.parametrize("name", ["wgan", "hinge", "ns"])
def test_trajectory_is_the_authors(name: str) -> None:
    trainer, io, config = official(shared("fixtures/robust_ot", f"trajectory_{name}"))
    system, folder = trainer.system, shared("fixtures/robust_ot", f"trajectory_{name}")
    counters = {k: v for k, v in load_file(folder / "weights.safetensors").items() if k.endswith("tracked")}
    for step in range(config["steps"]):
        seen = []
        hook = system.real_weighting.register_forward_hook(lambda module, given, weights, s=seen: s.append(weights))
        scalars = trainer.iterate()
        hook.remove()
        close = 1e-6 if step == 0 or not has_offset(system.critic) else 1e-4
        torch.testing.assert_close(seen[0], io[f"weights.{step}"].squeeze(1), rtol=0, atol=close)
        told = config["losses_per_step"][step]
        assert scalars["critic/loss"].item() == pytest.approx(told["disc"], abs=10 * close)
        if step % config["disc_iters"] == 0:
            offset = 2 * config["lrD"] * (step + 1) if has_offset(system.critic) else 0.0
            assert scalars["generator/loss"].item() == pytest.approx(told["gen"], abs=1e-5 + offset)
        if step + 1 in (1, config["steps"]):
            after = {k.removeprefix(f"after{step + 1}."): v for k, v in io.items() if k.startswith(f"after{step + 1}.")}
            players = [system.generator.network, system.critic, system.real_weighting.network]
            for mine, theirs in zip(players, load(counters | after, config), strict=True):
                drift = close if step == 0 or not has_offset(system.critic) else 2e-3
                assert_equal_where_observable(mine, getattr(theirs, "network", theirs), drift)


def has_offset(critic: torch.nn.Module) -> bool:
    """While no margin is met, the gradient of a hinge critic's biases is zero, or nearly, but for the last bit of the
    weights' mean; Adam makes a step of either sign of it, and everything after the first iteration feels that offset.
    """
    return critic.head.bias is not None


def assert_equal_where_observable(mine: torch.nn.Module, theirs: torch.nn.Module, close: float) -> None:
    """But for biases that feed a BatchNorm, the running means after them (see the fixture's README), and the offset."""
    got, compared = mine.state_dict(), 0
    hidden = ("stem.bias", "convs.0.bias", "convs.1.bias", "convs.2.bias")
    biased = hasattr(mine, "latent_dim") and "stem.bias" in got
    for name, value in theirs.state_dict().items():
        if name.endswith("tracked") or (biased and (name in hidden or name.endswith("running_mean"))):
            continue
        if name.endswith("bias") and type(mine).__name__ == "RobustDCGANCritic":
            continue
        compared += 1
        assert (got[name] - value).abs().max() <= close, f"{name}: {(got[name] - value).abs().max():.2e}"
    assert compared >= 4


def game(weighting: object, side: str = "real") -> GANTraining:
    torch.manual_seed(0)
    pair = GAN(MLPGenerator(3, 2, 8, 1)), MLPCritic(2, 8, 1)
    return GANTraining(*pair, **{f"{side}_weighting": weighting})


@pytest.mark.parametrize("side", ["real", "fake"])
def test_weights_move_against_the_critic(side: str) -> None:
    """One long step of W lowers its loss, which is minus the critic's on that side; the other side's W is a twin."""
    weighting = RobustWeights(MLPCritic(2, 8, 2), outlier_share=0.25)
    system = game(weighting, side).train()
    assert ("weights" if side == "real" else "fake_weights") in system.all_learners()
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(1))
    on = {"x": x, "y": {}, "z": torch.randn(64, 3), "u": torch.rand(64)}
    optimizer = torch.optim.Adam(weighting.parameters(), lr=0.03)
    for _ in range(60):
        (update,) = weighting.turns(system, on, 0, side)
        optimizer.zero_grad()
        sum(update.loss(**update.on).values()).backward()
        optimizer.step()
    shown = system.judge(update.on["x"], {})
    weights = weighting(shown, side)
    gained = ((weights - 1) * shown.score).mean().item() / shown.score.std().item()
    assert (gained < -0.02) if side == "real" else (gained > 0.02)
    assert weights.mean() == pytest.approx(1, abs=1e-5) and (weights >= 0).all()
    assert (0.5 * (weights - 1).square()).mean() < 1.2 * weighting.rho


def test_start_every_and_the_alarm() -> None:
    weighting = RobustWeights(MLPCritic(2, 8, 1), outlier_share=0.1, every=2, start=3)
    system = game(weighting)
    x = torch.randn(8, 2)
    on, shown = {"x": x, "y": {}, "z": torch.randn(8, 3), "u": torch.rand(8)}, system.judge(x, {})
    moved = []
    for step in range(7):
        if list(weighting.turns(system, on, step)):
            moved.append(step)
        assert (weighting(shown) == 1).all() == (step < 4)
    assert moved == [4, 6]
    assert weighting.observe(weighting(shown))["robust_dead"] == 0
    with torch.no_grad():
        for parameter in weighting.network.parameters():
            parameter.zero_()
    seen = weighting.observe(weighting(shown))
    assert seen["robust_dead"] == 1 and seen["robust_effective_sample_size"] == pytest.approx(8)


def test_the_softplus_end_has_a_gradient_where_relu_is_dead() -> None:
    score, network = torch.randn(8), MLPCritic(2, 8, 1)
    with torch.no_grad():
        network.head.bias.fill_(-5.0)
    for kind, alive in ((RobustWeights, True), (OfficialRobustWeights, False)):
        weighting = kind(network, rho=0.1)
        network.zero_grad()
        weighting.fit(Wasserstein(), score, normalised(weighting.raw(torch.randn(8, 2)))).backward()
        assert (network.head.weight.grad.abs().max() > 0) == alive


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rho": -0.1}, "rho -0.1"),
        ({"outlier_share": 0.5}, r"up to this share of the data may be junk; accepted: 0 to below 0\.5"),
        ({"outlier_share": -0.1}, "outlier_share -0.1"),
        ({}, "one of the two"),
        ({"rho": 0.1, "outlier_share": 0.1}, "one of the two"),
        ({"rho": float("nan")}, "rho nan"),
    ],
)
def test_refuses(arguments: dict[str, float], message: str) -> None:
    for make in (ClosedFormWeights, lambda **a: RobustWeights(MLPCritic(2, 4, 1), **a)):
        with pytest.raises(RecipeError, match=message) as caught:
            make(**arguments)
        assert "\n" not in str(caught.value)


def test_networks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"judges \[3\], samples are \[2\]"):
        game(RobustWeights(MLPCritic(3, 4, 1), rho=0.1))
    with pytest.raises(RecipeError, match="set its classes to 0"):
        game(RobustWeights(MLPCritic(2, 4, 1, classes=3), rho=0.1))
    with pytest.raises(RecipeError, match="real samples only"):
        game(OfficialRobustWeights(MLPCritic(2, 4, 1), rho=0.1), "fake")


def test_each_side_has_weights_of_its_own_when_both_are_weighed() -> None:
    """The game tells a weighting its side at every call, so that one object could stand on either."""
    both = [RobustWeights(MLPCritic(2, 8, 1), outlier_share=0.2) for _ in "rf"]
    torch.manual_seed(0)
    system = GANTraining(
        GAN(MLPGenerator(3, 2, 8, 1)), MLPCritic(2, 8, 1), real_weighting=both[0], fake_weighting=both[1]
    )
    learners = system.all_learners()
    assert learners["weights"] == [both[0].network] and learners["fake_weights"] == [both[1].network]
    on = {"x": torch.randn(4, 2), "y": {}, "z": torch.randn(4, 3), "u": torch.rand(4)}
    sides = [next(iter(w.turns(system, on, 0, s))) for w, s in zip(both, ("real", "fake"), strict=True)]  # type: ignore[arg-type]
    assert [update.learner for update in sides] == ["weights", "fake_weights"]
    assert sides[0].on["x"] is on["x"] and sides[1].on["x"].equal(system.generator(on["z"]))
    assert {"robust_spread", "robust_fake_spread"} <= set(system.critic_loss(**on))
