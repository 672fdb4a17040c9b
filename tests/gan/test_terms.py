"""Extra terms of either player's loss: when they count, how much, what they are given, and a resume among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genkit.core import catalog
from genkit.core.errors import RecipeError
from genkit.core.tensors import load_into
from genkit.gan.gan import GAN, GANTraining
from genkit.gan.gradient_penalty import R1, GradientPenalty
from genkit.gan.networks.mlp import MLPCritic, MLPGenerator
from genkit.gan.ratio_clipping import OfficialRatioClipping, RatioClipping
from genkit.gan.reused_ascent import ReusedAscent
from genkit.gan.score_drift import ScoreDrift
from genkit.gan.slots import Ascent, Term, Turn
from genkit.gan.sup_norm import SupNormPenalty
from genkit.training.checkpoint import load_checkpoint
from genkit.training.optimizers import SGD
from genkit.training.saving import save_checkpoint
from genkit.training.start import _whole_system
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer
from tests.contracts.specs import MLP_C, MLP_G, gan_case, make_trainer
from tests.contracts.test_systems import apart, differing, run, state
from tests.gan.test_gan import Cloud, on, pair


class Spread(Term):
    """A term of the generator that looks at all it is given: distances of fakes from real samples and latents."""

    name = "spread"
    of = "generator"

    def __init__(self, every: int = 1):
        super().__init__(every)
        self.turns_seen: list[Turn] = []

    def forward(self, turn: Turn) -> Tensor:
        self.turns_seen.append(turn)
        return (turn.fake.x - turn.x).square().mean() + turn.z.square().mean() + turn.fake.score.mean()


PENALTIES = [
    GradientPenalty(every=3),
    R1(every=3),
    ScoreDrift(every=3),
    SupNormPenalty(0.1, every=3),
]


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: p.name)
def test_a_lazy_penalty_counts_in_every_nth_step_n_times(penalty: Term) -> None:
    eager: Any = type(penalty)(**({"outlier_share": 0.1} if penalty.name == "sup_norm" else {}))
    vars(eager).update({k: v for k, v in vars(penalty).items() if k in ("weight",)})
    lazy, always = pair(penalties=[penalty]), pair(penalties=[eager])
    given = on(lazy)
    for step in range(7):
        terms = lazy.critic_loss(**given, step=step)
        assert (penalty.name in terms) == (step % 3 == 0) and "loss" in terms
        if penalty.name in terms:
            torch.testing.assert_close(terms[penalty.name], 3 * always.critic_loss(**given, step=step)[penalty.name])


def test_steps_of_the_critic_are_counted_through_iterations() -> None:
    system = pair(penalties=[R1(every=3)], critic_steps=2)
    trainer = trained(system)
    assert ["critic/r1" in trainer.iterate() for _ in range(6)] == [True, True, False, True, True, False]


def trained(system: GANTraining, **settings: Any) -> Trainer:
    rules = dict.fromkeys(system.all_learners(), SGD(lr=1e-3))
    return Trainer(system.train(), Stream(Cloud((2,)), 4, seed=0), rules, steps=9, **settings)


RULES = [Ascent(2, 2), ReusedAscent(2), *(c(MLPCritic(2, 8, 1), 2) for c in (RatioClipping, OfficialRatioClipping))]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_every_rule_adds_the_generators_terms_and_says_what_it_knows(rule: Any) -> None:
    term = Spread(every=3)
    system = pair(penalties=[term], rule=rule)
    trainer, updates = trained(system), list[Any]()
    perform = trainer.perform
    trainer.perform = lambda update: (updates.append(update), perform(update))[1]  # type: ignore[method-assign, func-returns-value]
    logged = [trainer.iterate() for _ in range(4)]
    steps = [u for u in updates if u.learner == "generator"]
    assert [u.shared["step"] for u in steps] == list(range(len(steps)))
    assert len(term.turns_seen) == -(-len(steps) // 3) and "generator/spread" in logged[0]
    first = term.turns_seen[0]
    assert first.x is steps[0].on["x"] and first.z is steps[0].on["z"] and first.player == "generator"
    assert len(first.fake.x) == len(first.x) == len(first.z) == len(first.fake.score)


def test_a_generators_term_shares_the_pass_of_its_loss() -> None:
    """One pass of the generator, one of the critic; N times the term, in every Nth step."""
    system, calls = pair(cotasks=[Spread(every=4)]), []
    for network in (system.generator, system.critic):
        network.register_forward_hook(lambda module, given, made: calls.append(type(module)))
    given = on(system)
    terms = system.rule.loss(system, given["x"], {}, given["z"], 8)
    assert calls == [GAN, MLPCritic]
    fake = system.generator(given["z"])
    value = (fake - given["x"]).square().mean() + given["z"].square().mean() + system.score(fake).mean()
    torch.testing.assert_close(terms["spread"], 4 * value)
    assert set(terms) == {"loss", "spread"} and not terms.observed
    assert set(system.rule.loss(system, given["x"], {}, given["z"], 9)) == {"loss"}


def test_the_real_samples_of_a_generators_step_go_with_its_labels() -> None:
    system = pair(classes=2, rule=Ascent(batches=3))
    seen = list[Any]()
    system.rule.loss = lambda gan, **given: (seen.append(given), Ascent.loss(system.rule, gan, **given))[1]
    rules = dict.fromkeys(system.all_learners(), SGD(lr=1e-3))
    data = Cloud((2,), 2)
    Trainer(system.train(), Stream(data, 4, seed=0), rules, steps=1).iterate()
    (given,) = seen
    for x, label in zip(given["x"], given["y"]["label"], strict=True):
        assert data.labels[int((data.x == x).all(1).nonzero())] == label  # type: ignore[index]


class Coupled(Spread):
    coupled = True


def test_a_coupled_term_of_either_player_is_not_split() -> None:
    assert pair(penalties=[Coupled()]).couples("generator", 0) and not pair(penalties=[Coupled()]).couples("critic", 0)
    assert not pair(penalties=[Coupled(every=2)]).couples("generator", 1)
    for term, player in ((Coupled(), "Ascent.loss"), (ScoreDrift(), "GANTraining.critic_loss")):
        with pytest.raises(RecipeError, match=rf"train.accumulate: {player} couples the samples"):
            trained(pair(penalties=[term]), accumulate=2).iterate()


LAZY = gan_case(
    (),
    critic_steps=2,
    penalties=[{"type": "r1", "every": 3}, {"type": "gradient_penalty", "every": 4}],
    rule={"type": "reused_ascent", "every": 2},
)


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_resume_between_two_steps_of_a_term_is_exact_in_micro_batches(stop: int, tmp_path: Path) -> None:
    straight, first, second = (make_trainer(LAZY, accumulate=2, seed=seed) for seed in (0, 0, 5))
    second.stream.seed = 0
    want, before = run(straight, 5), run(first, stop)
    load_checkpoint(second, save_checkpoint(first, tmp_path))
    assert before + run(second, 5 - stop) == want and not apart(straight, second)
    assert {"critic/r1" in row for row in want} == {"generator/loss" in row for row in want} == {True, False}


def test_checkpoints_of_when_the_rule_counted_iterations_itself_go_on(tmp_path: Path) -> None:
    """Its buffer stood beside the weights. So does a new run --from them."""
    straight, first, second, third = (make_trainer(LAZY, seed=seed) for seed in (0, 0, 5, 6))
    second.stream.seed = 0
    want, _ = run(straight, 5), run(first, 3)
    first.system.rule.register_buffer("iterations", torch.tensor(3))
    checkpoint = save_checkpoint(first, tmp_path)
    load_checkpoint(second, checkpoint)
    assert run(second, 2) == want[3:] and not apart(straight, second)
    assert _whole_system(checkpoint, third) and not differing(state(first.ema.module), state(third.ema.module))
    old = {**third.system.state_dict(), "rule.iterations": torch.tensor(3)}
    with pytest.raises(ValueError, match=r"unexpected 'rule\.other'"):
        load_into(third.system, {**old, "rule.other": torch.tensor(3)})
    third.system.rule.__class__ = Ascent
    with pytest.raises(ValueError, match=r"unexpected 'rule\.iterations'"):
        load_into(third.system, old)


@pytest.mark.parametrize("penalty", ["gradient_penalty", "r1", "consistency", "score_drift", "sup_norm_penalty"])
def test_every_is_a_whole_number_from_one(penalty: str) -> None:
    share = {"outlier_share": 0.1} if penalty == "sup_norm_penalty" else {}
    spec = {"type": "gan_training", "generator": {"type": "gan", "network": MLP_G}, "critic": MLP_C}
    with pytest.raises(RecipeError, match=r"penalties\[0\].every"):
        catalog.build({**spec, "penalties": [{"type": penalty, "every": 0, **share}]})


class Deviation(nn.Module):
    """Minibatch standard deviation: a critic's layer that looks across the batch, and says so."""

    mixes_samples = True

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, x.std(0).mean().expand(len(x), 1)], 1)


class Across(MLPCritic):
    def __init__(self) -> None:
        super().__init__(3, 8, 1)
        self.sample_shape, self.across = (2,), Deviation()

    def features(self, x: Tensor) -> Tensor:
        return super().features(self.across(x))


def test_a_critic_that_says_it_mixes_samples_is_not_split_and_has_no_gradient_of_a_sample() -> None:
    generator = MLPGenerator(3, 2, 8, 1)
    trained(GANTraining(GAN(generator), Across())).iterate()
    with pytest.raises(RecipeError, match=r"train\.accumulate: a Deviation couples the samples of a batch"):
        trained(GANTraining(GAN(generator), Across()), accumulate=2)
    with pytest.raises(RecipeError, match=r"the critic's Deviation mixes samples, .*; use a critic without it"):
        GANTraining(GAN(generator), Across(), penalties=[GradientPenalty()])


class Loss(Spread):
    name = "loss"


@pytest.mark.parametrize(("terms", "name"), [([R1(1.0), R1(2.0)], "r1"), ([Loss()], "loss")])
def test_two_terms_of_a_player_need_two_names(terms: list[Term], name: str) -> None:
    """Else one of them would silently take the other's place in the sum."""
    with pytest.raises(RecipeError, match=f"two terms of the (critic|generator) are called '{name}'"):
        pair(penalties=terms[:1], cotasks=terms[1:])
