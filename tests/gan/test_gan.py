"""The game: terms and signs, conditions, slots, and every combination of networks and techniques at tiny width."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genkit.core import catalog
from genkit.core.condition import Condition
from genkit.core.errors import RecipeError
from genkit.core.randomness import Randomness
from genkit.core.system import Batch, Data, Terms, Turns, Update, descend, observe
from genkit.gan.anneal import Anneal
from genkit.gan.gan import GAN, GANTraining
from genkit.gan.gradient_penalty import GradientPenalty
from genkit.gan.networks.mlp import MLPCritic, MLPGenerator
from genkit.gan.ratio_clipping import RatioClipping
from genkit.gan.slots import Ascent, Judged, LossSide, Pair, Term, View, Weighting
from genkit.gan.softmax_weighting import SoftmaxWeighting
from genkit.training.optimizers import SGD, Adam
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer


class Cloud:
    """Random rows of a shape, with labels where there are classes."""

    def __init__(self, shape: tuple[int, ...], classes: int = 0):
        rng = torch.Generator().manual_seed(0)
        self.x = torch.rand(16, *shape, generator=rng) * 2 - 1
        self.labels: Tensor | None = torch.arange(16) % classes if classes else None

    def __len__(self) -> int:
        return 16

    def stored(self, index: torch.Tensor) -> torch.Tensor:
        return self.rows(index)

    def rows(self, index: Tensor) -> Tensor:
        return self.x[index]

    def condition(self, index: Tensor) -> dict[str, Tensor]:
        return {} if self.labels is None else {"label": self.labels[index]}


def play(system: GANTraining, iterations: int = 2, batch_size: int = 4, classes: int = 0, rule: Any = None) -> Trainer:
    stream = Stream(Cloud(system.generator.sample_shape, classes), batch_size, seed=0)
    rules = dict.fromkeys(system.all_learners(), rule or Adam(lr=1e-3, betas=(0.5, 0.9)))
    trainer = Trainer(system.train(), stream, rules, steps=iterations)
    for _ in range(iterations):
        scalars = trainer.iterate()
        assert all(v.isfinite() for v in scalars.values())
    return trainer


def pair(classes: int = 0, **slots: Any) -> GANTraining:
    torch.manual_seed(0)
    return GANTraining(GAN(MLPGenerator(3, 2, 8, 2, classes)), MLPCritic(2, 8, 2, classes), **slots)


def on(system: GANTraining, n: int = 6) -> dict[str, Any]:
    rng = torch.Generator().manual_seed(1)
    return {
        "x": torch.randn(n, 2, generator=rng),
        "y": {},
        "z": torch.randn(n, 3, generator=rng),
        "u": torch.rand(n, generator=rng),
    }


class Twice(Weighting):
    """The first half of a batch counts twice as much as the second, before they are scaled to mean one."""

    def forward(self, judged: Judged, side: LossSide = "real") -> Tensor:
        weights = torch.ones(len(judged.score))
        weights[: len(weights) // 2] = 2
        return weights / weights.mean()


@pytest.mark.parametrize("side", ["real_weighting", "fake_weighting"])
def test_each_weighting_weighs_its_side_of_the_critics_loss(side: str) -> None:
    system = pair(**{side: Twice()})
    given = on(system)
    terms = system.critic_loss(**given)
    real, fake = system.score(given["x"]), system.score(system.generator(given["z"]))
    weights = torch.tensor([4, 4, 4, 2, 2, 2]) / 3
    w_real, w_fake = (weights, torch.ones(6)) if side == "real_weighting" else (torch.ones(6), weights)
    torch.testing.assert_close(terms["loss"], (w_fake * fake).mean() - (w_real * real).mean())


def test_the_critics_loss_does_not_reach_the_generator_and_the_generators_does() -> None:
    system = pair()
    sum(system.critic_loss(**on(system)).values()).backward()
    assert all(p.grad is None for p in system.generator.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in system.critic.parameters())
    given = on(system)
    system.rule.loss(system, given["x"], {}, given["z"])["loss"].backward()
    assert any(p.grad.abs().sum() > 0 for p in system.generator.parameters())


def test_the_critic_rises_on_real_and_falls_on_fakes_and_the_generator_climbs() -> None:
    system = pair()
    given = on(system)
    gap = lambda: (system.score(given["x"]).mean() - system.score(system.generator(given["z"])).mean()).item()  # noqa: E731
    trainer = Trainer(
        system, Stream(Cloud((2,)), 4, seed=0), {"critic": SGD(lr=0.05), "generator": SGD(lr=0.05)}, steps=9
    )
    before = gap()
    trainer.perform(Update("critic", system.critic_loss, given))
    middle = gap()
    trainer.perform(Update("generator", partial(system.rule.loss, system), {k: given[k] for k in "xyz"}))
    assert middle > before and gap() < middle


def test_what_is_trained_with_labels_heeds_them() -> None:
    system = pair(classes=3)
    play(system, classes=3)
    z, x = torch.randn(4, 3), torch.randn(4, 2)
    labels = [{"label": torch.full((4,), k)} for k in range(2)]
    assert not torch.allclose(system.generator(z, labels[0]), system.generator(z, labels[1]))
    assert not torch.allclose(system.score(x, labels[0]), system.score(x, labels[1]))
    batch = Batch(x, {"label": torch.ones(4), "index": torch.ones(4)}, torch.arange(4))
    assert list(system.asked(batch)) == ["label"] and pair().asked(batch) == {}


def test_fakes_are_judged_with_the_labels_they_were_made_for() -> None:
    system = pair(classes=3)
    seen: list[tuple[str, Tensor]] = []
    system.generator.network.register_forward_pre_hook(lambda m, a: seen.append(("made", a[1]["label"])))
    honest = system.critic.score
    system.critic.score = lambda features, y: (seen.append(("judged", y["label"])), honest(features, y))[1]
    label = torch.tensor([0, 1, 2, 2, 1, 0])
    system.critic_loss(**{**on(system), "y": {"label": label}})
    assert {name for name, _ in seen} == {"made", "judged"} and all(value.equal(label) for _, value in seen)


@pytest.mark.parametrize(
    ("generator", "critic", "message"),
    [
        (MLPGenerator(3, 2, 8, 1), MLPCritic(3, 8, 1), r"makes \[2\] but the critic judges \[3\]"),
        (MLPGenerator(3, 2, 8, 1), MLPCritic(2, 8, 1, 4), "knows 4 classes and the generator 0"),
        (MLPGenerator(3, 2, 8, 1, 3), MLPCritic(2, 8, 1, 4), "knows 4 classes and the generator 3"),
    ],
)
def test_a_pair_that_does_not_fit_is_refused(generator: Any, critic: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        GANTraining(GAN(generator), critic)


class Shifted(View):
    """A view that moves what the critic sees, and remembers that it was looked through."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def forward(self, x: Tensor) -> Tensor:
        self.looks += 1
        return x + 10


class Learned(Weighting):
    """A weighting with a network of its own, which learns to guess the critic's scores of real samples."""

    learners = {"weigher": ("net",)}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(2, 1)

    def forward(self, judged: Judged, side: LossSide = "real") -> Tensor:
        raw = self.net(judged.x).squeeze(1).detach().softmax(0)
        return raw * len(raw)

    def observe(self, weights: Tensor, side: LossSide = "real") -> Terms:
        return observe(largest_weight=weights.max())

    def turns(self, gan: Pair, on: dict[str, Any], step: int, side: LossSide = "real") -> Turns:
        target = gan.score(on["x"], on["y"])
        report = yield Update("weigher", self.loss, {"x": on["x"], "target": target})
        assert set(report) == {"error", "gradient_norm"}

    def loss(self, x: Tensor, target: Tensor) -> Terms:
        return descend(error=(self.net(x).squeeze(1) - target).square().mean())


class Shrink(Term):
    """A second turn of the generator, and a learner of its own beside it."""

    of = None
    learners = {"shrinker": ("net",)}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(2, 1)

    def turns(self, gan: Pair, data: Data, step: int) -> Turns:
        z = data.draw(gan.generator.prior)
        yield Update("generator", partial(self.loss, gan), {"z": z})
        yield Update("shrinker", partial(self.loss, gan), {"z": z})

    def loss(self, gan: Pair, z: Tensor) -> Terms:
        return descend(size=self.net(gan.generator(z)).square().mean())


class Split(GAN):
    """Its latent is a tree."""

    def latents(self, randomness: Randomness) -> Any:
        return {"content": randomness.normal(1), "style": (randomness.normal(2),)}

    def forward(self, z: Any, condition: Condition | None = None) -> Tensor:
        return super().forward(torch.cat([z["content"], *z["style"]], dim=1), condition)


class Joined(Split):
    """The same numbers, side by side."""

    def latents(self, randomness: Randomness) -> Any:
        z = super().latents(randomness)
        return torch.cat([z["content"], *z["style"]], dim=1)

    forward = GAN.forward


@pytest.mark.parametrize("clipped", [False, True])
def test_latents_may_be_trees(clipped: bool) -> None:
    """Through every turn of the game, several batches of them and micro-batches."""
    trained = []
    for kind in (Split, Joined):
        torch.manual_seed(0)
        rule = RatioClipping(MLPCritic(2, 8, 1), steps=2) if clipped else Ascent(batches=2)
        system = GANTraining(kind(MLPGenerator(3, 2, 8, 2)), MLPCritic(2, 8, 2), rule=rule)
        rules = dict.fromkeys(system.all_learners(), Adam(lr=1e-2))
        run = Trainer(system, Stream(Cloud((2,)), 4, seed=0), rules, steps=3, accumulate=1 if clipped else 2)
        for _ in range(3):
            run.iterate()
        trained.append(torch.cat([t.flatten() for t in system.state_dict().values()]))
    assert trained[0].equal(trained[1])


def test_a_view_a_learning_weighting_and_a_cotask_compose_in_one_game() -> None:
    view = Shifted()
    system = pair(
        view=view,
        real_weighting=Learned(),
        fake_weighting=SoftmaxWeighting(),
        penalties=[GradientPenalty()],
        rule=RatioClipping(MLPCritic(2, 8, 1), steps=2),
        cotasks=[Shrink()],
        schedules=[Anneal("fake_weighting.temperature", 4.0, 1.0, 2)],
        critic_steps=2,
    )
    assert set(system.all_learners()) == {"critic", "generator", "weigher", "classifier", "shrinker"}
    before = {k: v.clone() for k, v in system.state_dict().items()}
    trainer, order = play(system, 1), []
    after = system.state_dict()
    for part in ("critic.", "generator.", "real_weighting.net", "rule.classifier", "extras.1.net"):
        assert any(not after[k].equal(before[k]) for k in before if k.startswith(part)), f"{part} did not move"
    perform = trainer.perform
    trainer.perform = lambda update: (order.append(update.learner), perform(update))[1]  # type: ignore[method-assign, func-returns-value]
    scalars = trainer.iterate()
    assert order == ["weigher", "critic"] * 2 + ["classifier", "generator"] * 2 + ["generator", "shrinker"]
    assert {"critic/largest_weight", "critic/effective_sample_size", "weigher/error", "shrinker/size"} <= set(scalars)
    assert view.looks > 0 and system.fake_weighting.temperature == 2.5
    x = torch.randn(3, 2)
    torch.testing.assert_close(system.score(x), system.critic(x + 10))


def test_the_critic_without_features_is_judged_by_its_score_alone() -> None:
    class Plain(nn.Module):
        def forward(self, x: Tensor, y: Condition | None = None) -> Tensor:
            return x.sum(1)

    system = GANTraining(GAN(MLPGenerator(3, 2, 8, 1)), Plain())
    judged = system.judge(torch.ones(2, 2), {})
    assert judged.features is None and judged.score.tolist() == [2, 2]


def test_scores_and_samples_are_float32_under_autocast() -> None:
    system = pair(rule=RatioClipping(MLPCritic(2, 8, 1), steps=1), penalties=[GradientPenalty()])
    with torch.autocast("cpu", torch.bfloat16):
        x = system.generator(torch.randn(4, 3))
        judged = system.judge(x, {})
        assert x.dtype == judged.score.dtype == judged.features.dtype == system.rule.logit(x).dtype == torch.float32
        assert {v.dtype for v in system.critic_loss(**on(system)).values()} == {torch.float32}


PAIRS = [
    *[({"type": "mlp_generator", "dims": 2}, {"type": "mlp_critic", "dims": 2})],
    *[
        ({"type": f"{name}_generator", "size": s, "channels": c}, {"type": f"{name}_critic", "size": s, "channels": c})
        for name, s, c in product(("dcgan", "resnet"), (28, 32, 64), (1, 3))
    ],
]
PENALTIES: list[list[dict[str, Any]]] = [
    [],
    [{"type": "gradient_penalty"}],
    [{"type": "gradient_penalty", "sides": "one"}],
    [{"type": "r1"}],
    [{"type": "consistency"}],
]
RULES = ["ascent", "ratio_clipping", "official_ratio_clipping"]
COMBINATIONS = list(product(["wasserstein", "hinge", "non_saturating"], PENALTIES, RULES))


def combined(
    generator: dict[str, Any], critic: dict[str, Any], objective: str, penalties: Any, rule: str
) -> GANTraining:
    torch.manual_seed(0)
    critic = {**critic, "width": 2}
    spec = {
        "type": "gan_training",
        "generator": {"type": "gan", "network": {**generator, "width": 2, "latent_dim": 3}},
        "critic": critic,
        "objective": {"type": objective},
        "penalties": penalties,
        "rule": {"type": rule, "steps": 1, **({} if rule == "ascent" else {"classifier": critic})},
    }
    system: GANTraining = catalog.build(spec)
    return system


@pytest.mark.parametrize(("objective", "penalties", "rule"), COMBINATIONS, ids=lambda v: str(v)[:30])
def test_all_objectives_penalties_and_rules_go_together(objective: str, penalties: Any, rule: str) -> None:
    play(combined(*PAIRS[0], objective, penalties, rule))
    play(
        combined(
            {"type": "dcgan_generator", "size": 8}, {"type": "dcgan_critic", "size": 8}, objective, penalties, rule
        )
    )


@pytest.mark.parametrize("index", range(len(PAIRS)), ids=["-".join(map(str, g.values())) for g, _ in PAIRS])
def test_all_pairs_play(index: int) -> None:
    for k in range(3):
        play(combined(*PAIRS[index], *COMBINATIONS[(17 * index + 15 * k + 4) % len(COMBINATIONS)]), batch_size=2)
