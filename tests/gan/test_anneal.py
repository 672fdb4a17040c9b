from __future__ import annotations

import pytest

from genkit.core.errors import RecipeError
from genkit.gan.anneal import Anneal
from genkit.gan.gan import GAN, GANTraining
from genkit.gan.gradient_penalty import GradientPenalty
from genkit.gan.networks.mlp import MLPCritic, MLPGenerator
from genkit.gan.softmax_weighting import SoftmaxWeighting


def game(*schedules: Anneal) -> GANTraining:
    return GANTraining(
        GAN(MLPGenerator(3, 2, 4, 1)),
        MLPCritic(2, 4, 1),
        fake_weighting=SoftmaxWeighting(),
        penalties=[GradientPenalty()],
        schedules=list(schedules),
    )


def test_a_straight_line_then_still() -> None:
    line = Anneal("fake_weighting.temperature", 4.0, 1.0, 3)
    system, seen = game(line), []
    for step in (0, 1, 2, 3, 9, 1):
        line.apply(system, step)
        seen.append(system.fake_weighting.temperature)
    assert seen == pytest.approx([4, 3, 2, 1, 1, 3])


def test_a_penalty_is_named_by_its_position() -> None:
    line = Anneal("penalties.0.weight", 10.0, 0.0, 4)
    system = game(line)
    line.apply(system, 3)
    assert system.penalties[0].weight == 2.5


@pytest.mark.parametrize(
    "setting",
    [
        "penalties.1.weight",
        "penalties.x.weight",
        "fake_weighting.heat",
        "nothing.there",
        "critic",
        "fake_weighting",
        "",
    ],
)
def test_what_is_no_number_of_the_game_is_refused(setting: str) -> None:
    with pytest.raises(RecipeError, match="is not a number of this game"):
        game(Anneal(setting, 1.0, 0.0, 2))
