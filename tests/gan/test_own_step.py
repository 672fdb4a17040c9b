from __future__ import annotations

import pytest
import torch

from genkit.core.errors import RecipeError
from genkit.gan.gradient_penalty import R1
from genkit.gan.own_step import OwnStep
from genkit.gan.super_resolution import SuperResolution
from genkit.training.optimizers import Adam
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer
from tests.gan.test_gan import Cloud, on, pair
from tests.gan.test_terms import Spread, trained


def test_it_comes_after_the_steps_that_are_due_n_times_as_large() -> None:
    system = pair(penalties=[OwnStep(R1(every=3)), OwnStep(Spread(every=2))], critic_steps=2)
    trainer, order, r1 = trained(system), list[str](), list[torch.Tensor]()
    perform = trainer.perform

    def watched(update):
        report = perform(update)
        order.append(f"{update.learner}/{'/'.join(k for k in report if k != 'gradient_norm')}")
        r1.extend(report[k] for k in report if k == "r1")
        return report

    trainer.perform = watched
    before = on(system)
    for _ in range(3):
        trainer.iterate()
    critic, lazy, ascent, spread = "critic/loss", "critic/r1", "generator/loss", "generator/spread"
    assert order == [
        *(critic, lazy, critic, ascent, spread),
        *(critic, critic, lazy, ascent),
        *(critic, critic, ascent, spread),
    ]
    assert before and len(r1) == 2


def test_its_term_sees_the_batch_of_the_critics_step_before_it() -> None:
    system = pair(penalties=[OwnStep(R1(5.0, every=4))])
    given = on(system)
    (update,) = system.terms[0].after_critic(system, given, 8)
    alone = pair(penalties=[R1(5.0, every=4)])
    alone.load_state_dict(system.state_dict())
    expected = alone.critic_loss(**given, step=8)["r1"]
    torch.testing.assert_close(update.loss(**update.on, **update.shared), {"r1": expected})
    assert not list(system.terms[0].after_critic(system, given, 9))
    assert set(system.critic_loss(**given, step=8)) == {"loss"}, "no part of the loss any more"


def test_moments_of_what_its_term_does_not_reach_go_on() -> None:
    system = pair(penalties=[OwnStep(R1(every=1))])
    rules = dict.fromkeys(system.all_learners(), Adam(lr=1e-3))
    trainer = Trainer(system.train(), Stream(Cloud((2,)), 4, seed=0), rules, steps=9)
    trainer.iterate()
    states = trainer.optimizers["critic"].state
    assert len(states) == len(list(system.critic.parameters()))
    assert {state["step"].item() for state in states.values()} == {2.0}


def test_what_has_turns_of_its_own_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"own_step\.term: super_resolution takes turns of its own already"):
        OwnStep(SuperResolution())
