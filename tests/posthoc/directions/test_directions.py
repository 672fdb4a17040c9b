"""Directions as a generator: their names are conditions, and what is not asked for stays as it was drawn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from genkit.core.errors import ConditionError, GenkitError
from genkit.posthoc.directions.deformators import (
    Deformator,
    LinearDeformator,
    MLPDeformator,
    ProjectiveDeformator,
    UnitColumns,
)
from genkit.posthoc.directions.directions import Directions
from genkit.posthoc.directions.edited import Edited
from tests.posthoc.directions.test_spaces import GAN, LABELLED, made


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@pytest.mark.parametrize("kind", [UnitColumns, LinearDeformator, MLPDeformator])
def test_each_sample_is_moved_as_far_as_it_asks(kind: type[Deformator]) -> None:
    generator = made(GAN)
    found = Directions(generator, kind(3, 3).eval(), names=["", "darker", "wider"])
    found.measure()
    assert list(found.conditions) == ["darker", "wider"]
    plain, moved = generator.sample(4, rng=seeded()), found.edited(1, 0.8).sample(4, rng=seeded())
    assert found.sample(4, rng=seeded()).equal(plain)
    assert found.sample(4, condition={"darker": 0.0}, rng=seeded()).equal(plain)
    mixed = found.sample(4, condition={"darker": "0.8,free,0.8,0"}, rng=seeded())
    torch.testing.assert_close(mixed[[0, 2]], moved[[0, 2]])
    assert mixed[[1, 3]].equal(plain[[1, 3]]) and not moved.equal(plain)


@pytest.mark.parametrize("kind", [UnitColumns, LinearDeformator, MLPDeformator, ProjectiveDeformator])
def test_two_names_move_by_the_sum_beside_a_class(kind: type[Deformator]) -> None:
    found = Directions(made(LABELLED), kind(3, 3).eval(), names=["darker", "wider"])
    found.measure()
    label = torch.tensor([1, 0])
    both = found.sample(2, condition={"label": label, "darker": 0.8, "wider": -0.5}, rng=seeded())
    one_by_one = found.moved(0, 0.8).edited(1, -0.5).sample(2, condition={"label": label}, rng=seeded())
    torch.testing.assert_close(both, one_by_one)


def test_names_that_cannot_be() -> None:
    found = Directions(made(LABELLED), UnitColumns(2, 3).eval())
    with pytest.raises(GenkitError, match="'label' is what a generator is asked for; call the direction otherwise"):
        found.name(["label"])
    named = Directions(made(GAN), UnitColumns(2, 3).eval(), names=["darker"])
    with pytest.raises(GenkitError, match="'Darker' is what a generator is asked for"):
        Directions(named, UnitColumns(2, 3).eval(), names=["Darker"])
    with pytest.raises(GenkitError, match="'Label' is what a generator is asked for"):
        Directions(made(GAN), UnitColumns(2, 3).eval(), names=["Label"])
    for name in ("a=b", "a,b", " a", "a\nb", "\u200b", "a\u202eb", "\u3164", "\u0301"):
        with pytest.raises(GenkitError, match="a name has no = and no comma, no space at its ends"):
            found.name([name])
    for name in ("a\u00a0b", "\U0001f469\u200d\U0001f52c"):
        Directions(made(GAN), UnitColumns(2, 3).eval(), names=[name])
    for pair in (["\u00e9", "e\u0301"], ["box", "bo\u200bx"], ["box", "box\ufe00"], ["a b", "a\u2003 b"], ["1\u200b"]):
        with pytest.raises(GenkitError, match="each once"):
            found.name(pair)
    for name in ("lab\u200bel", "\uff4c\uff41\uff42\uff45\uff4c"):
        with pytest.raises(GenkitError, match="is what a generator is asked for"):
            found.name([name])
    assert list(found.conditions) == ["label"]
    with pytest.raises(ConditionError, match="takes no condition 'darker'"):
        found.sample(1, condition={"darker": 1.0})
    with pytest.warns(UserWarning, match="beyond what was learned"):
        found.name(["darker"])
        found.sample(1, condition={"darker": 50.0})


SHIFTED = [LinearDeformator, MLPDeformator, ProjectiveDeformator, partial(ProjectiveDeformator, bias=False)]


@pytest.mark.parametrize("kind", [UnitColumns, *SHIFTED])
def test_strength_0_is_the_sample_itself(kind: Callable[[int, int], Deformator]) -> None:
    generator = made(GAN)
    found = Directions(generator, kind(3, 3).eval(), names=["darker"])
    plain = generator.sample(3, rng=seeded())
    assert Edited(generator, found.deformator, 0.0).sample(3, rng=seeded()).equal(plain)
    assert found.edited("darker", 0.0).sample(3, rng=seeded()).equal(plain)
    of_the_seed = generator.sample(1, rng=torch.Generator().manual_seed(4))
    assert found.strip("darker", [-1.0, 0.0, 1.0], [4])[0, 1].equal(of_the_seed[0])


def test_a_direction_is_given_by_number_or_name() -> None:
    found = Directions(made(GAN), UnitColumns(2, 3).eval(), names=["", "darker"])
    assert found.strip(1, [0.5], [4]).equal(found.strip("darker", [0.5], [4]))
    assert found.strip(1, torch.linspace(-1, 1, 3), [4]).equal(found.strip(1, np.linspace(-1, 1, 3), np.arange(4, 5)))
    assert found.edited("darker", 0.5).sample(2, rng=seeded()).equal(found.edited(1, 0.5).sample(2, rng=seeded()))
    for strengths, seeds in (([], [0]), ([1.0], [])):
        with pytest.raises(GenkitError, match="at least one strength and one seed"):
            found.strip(0, strengths, seeds)
    with pytest.raises(GenkitError, match="no direction -1; there are 2"):
        found.edited(-1, 1.0)
    with pytest.raises(GenkitError, match="no direction is called 'bold'"):
        found.moved("bold", 2.0)
