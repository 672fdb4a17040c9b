from __future__ import annotations

import pytest
import torch

from genkit.explain.effects import find_effects
from genkit.explain.encoded import Encoded, Range, Step
from genkit.explain.flips import (
    flipped,
    on_originals,
    probabilities_alone,
    random_coordinates,
    random_sufficiency,
    sufficiency,
)
from genkit.explain.realism import Realism
from genkit.images.property_changes import Properties
from tests.explain.toy import DRIVER, Judge, Pixels, binary, images


def test_flips_of_other_images_in_closed_form() -> None:
    others, bounds = Encoded(binary(), images(20, seed=1)), Range.of(images(20).flatten(1))
    assert sufficiency(others, bounds, [Step(1, 0), Step(1, DRIVER)], 1) == [0.0, 1.0]
    assert sufficiency(others, bounds, [Step(1, DRIVER)], 0) == [0.0], "it goes the other way"
    start, far = others.flat[others.outside(1), DRIVER], float(bounds.high[DRIVER])
    half = start + 0.3 * (far - start) > 0
    assert flipped(others, bounds, [Step(1, DRIVER)], 1, shift=0.3).equal(half) and 0 < half.float().mean() < 1
    assert sufficiency(Encoded(binary(), images(20).abs()), bounds, [Step(1, DRIVER)], 1) == []


def test_originals_turn_by_what_is_added_to_their_redrawn_images() -> None:
    x = images(60, seed=1)
    bounds, step = Range.of(0.5 * images(20).flatten(1)), Step(1, DRIVER)
    others = Encoded(binary(faithful=0.5), x)
    assert sufficiency(others, bounds, [step], 1) == [1.0]
    start = x.flatten(1)[:, DRIVER]
    start = start[start <= 0]
    turned = start + float(bounds.high[DRIVER]) - 0.5 * start > 0
    assert on_originals(others, bounds, [step], 1) == turned.double().mean().item() and 0 < turned.double().mean() < 1
    assert on_originals(others, bounds, [Step(1, 0)], 1) == 0
    assert on_originals(Encoded(binary(), images(20).abs()), bounds, [step], 1) is None, "all are of class 1"


def test_random_coordinates_are_as_many_and_follow_the_seed() -> None:
    others, bounds = Encoded(binary(), images(20, seed=1)), Range.of(images(20).flatten(1))
    n = len(others.outside(1))
    drawn = [random_coordinates(n, 5, 3, seed=0, draw=k) for k in range(20)]
    assert all(len(set(row)) == 3 for chosen, _ in drawn for row in chosen.tolist())
    found = random_sufficiency(others, bounds, 3, 1, draws=20)
    raised = [((chosen == DRIVER) & upwards).cumsum(1).double() for chosen, upwards in drawn]
    assert found == pytest.approx(torch.stack(raised).mean((0, 1)).tolist()) and found[2] > 0
    assert random_sufficiency(others, bounds, 3, 1, draws=20, seed=1) != found
    assert len(random_sufficiency(others, bounds, 9, 1)) == 5, "there are no more coordinates"
    assert random_sufficiency(Encoded(binary(), images(20).abs()), bounds, 3, 1) == []


def test_random_coordinates_tell_the_same_share_by_any_draws() -> None:
    """One of five coordinates turns all images: three random ones do in 30 %, whatever the seed."""
    others, bounds = Encoded(binary(), images(400, seed=1)), Range.of(images(20).flatten(1))
    found = [random_sufficiency(others, bounds, 3, 1, seed=seed)[-1] for seed in range(10)]
    assert max(abs(share - 0.3) for share in found) < 0.06


def test_the_probabilities_alone() -> None:
    for leak, turned in ((0.0, False), (2.0, True)):
        found = probabilities_alone(others := Encoded(binary(leak=leak), images(20)))
        assert {y: len(one) for y, one in found.items()} == {y: len(others.outside(y)) for y in (0, 1)}
        assert all(bool((one == turned).all()) for one in found.values())
    x = images(60)
    above = Encoded(binary(), x[x[:, 0, 0, DRIVER] > 0.1])
    assert list(probabilities_alone(above)) == [0], "there is none that is not of class 1"


def test_the_probabilities_of_two_of_three_classes_change_places() -> None:
    given = list[torch.Tensor]()

    class Told(Pixels):
        def joined(self, w: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
            given.append(p)
            return super().joined(w, p)

    others = Encoded(Told(3 * torch.eye(3, 5)), images(12))
    given.clear()
    assert not torch.cat([*probabilities_alone(others).values()]).any()
    for y, swapped in enumerate(given):
        p, own = others.seen.softmax(1)[others.outside(y)], others.logits.argmax(1)[others.outside(y)]
        rows, third = torch.arange(len(p)), 3 - own - y
        assert swapped[:, y].equal(p[rows, own]) and swapped[rows, own].equal(p[:, y])
        assert swapped[rows, third].equal(p[rows, third])


def test_moves_are_in_deviations_of_the_images_the_short_way_round_and_shares_of_classes() -> None:
    x = images(40)
    properties, flat = Properties(Judge(), x), x.flatten(1)
    assert properties.units["driver"] == pytest.approx(flat[:, DRIVER].std().item())
    moved = x.clone()
    moved[..., DRIVER] = 0.9
    x = x.clone()
    x[..., DRIVER] = torch.where(torch.arange(40) < 10, -0.9, 0.5)[:, None, None]
    found = properties.changes(properties.read(x), properties.read(moved))
    unit = properties.units["driver"]
    assert found["driver"][[0, 39]].tolist() == pytest.approx([1.8 / unit, 0.4 / unit])
    around = properties.units["angle"]
    assert found["angle"][[0, 39]].tolist() == pytest.approx([-0.2 / around, 0.4 / around], rel=1e-5)
    assert found["side"].mean() == 0.25 and not found["first"].any()


def test_the_deviation_on_a_circle_is_about_its_mean_direction() -> None:
    x = torch.zeros(40, 1, 1, 5)
    x[..., DRIVER] = torch.where(torch.arange(40) % 2 == 0, 0.9, -0.9)[:, None, None]
    units = Properties(Judge(), x).units
    assert units["angle"] == pytest.approx(0.1, rel=1e-4) and units["driver"] == pytest.approx(0.9, rel=0.02)


def test_a_coordinate_that_the_critic_sees_is_refused() -> None:
    encoded = Encoded(binary(), images(20))
    effects, seen = find_effects(encoded), list[int]()

    said: list[torch.Tensor] = []

    def critic(x: torch.Tensor, condition: dict[str, torch.Tensor]) -> torch.Tensor:
        assert condition["probabilities"].sum(1).allclose(torch.ones(len(x)))
        seen.append(len(x))
        said.append(condition["probabilities"])
        return 10 * x[:, 0, 0, DRIVER]

    refuse = Realism(critic, encoded, effects, 1)
    assert not refuse(Step(1, DRIVER)) and seen == [len(encoded.outside(1)[:10])] * 2
    index = encoded.outside(1)[:10]
    moved = effects.range.moved(encoded.flat[index], [Step(1, DRIVER)], 2.0)
    assert said[0].equal(encoded.seen[index].softmax(1)), "before: what it says of the image itself"
    assert said[1].equal(encoded.after(index, moved).softmax(1)), "after: of the changed one"
    assert refuse(Step(1, 0)), "it moves no image strongly, so that nothing is looked at"
    assert Realism(critic, encoded, effects, 1, change=100.0)(Step(1, DRIVER))
    assert not refuse(Step(0, DRIVER)), "either way of a coordinate is looked at"
    low, high = encoded.flat[encoded.outside(1)[:10], DRIVER], float(effects.range.high[DRIVER])
    twice = (low + 2 * (high - low)).clamp(-1, 1)
    limit = 10 * (twice - low).abs().max().item()
    assert Realism(critic, encoded, effects, 1, change=limit + 1e-4)(Step(1, DRIVER))
    assert not Realism(critic, encoded, effects, 1, change=limit - 1e-2)(Step(1, DRIVER)), "twice the step"
