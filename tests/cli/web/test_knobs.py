"""The knobs of every generator of the catalog: all that genkit sample takes of it, and nothing that it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from genkit.cli.sampler_options import SAMPLERS, SOLVERS, configured, slices_of
from genkit.cli.web.knobs import (
    Choice,
    PartSlide,
    Picture,
    Slide,
    condition_knobs,
    of_column,
    option_knobs,
    options_of,
    shared_copy,
)
from genkit.cli.web.wishes import Wishes
from genkit.core.columns.probabilities import Probabilities
from genkit.core.columns.values import Values
from genkit.core.errors import GenkitError
from tests.contracts.specs import GENERATOR_SPECS, seeded

GIVEN: list[tuple[str, Any]] = [
    ("truncation", 0.7),
    ("candidates", 3),
    ("scale", 2.0),
    ("steps", "3"),
    ("rate", 0.3),
    *(("sampler", kind) for kind in SAMPLERS),
    *(("solver", kind) for kind in SOLVERS),
]
"""Values that genkit sample takes, others than those by which the knobs are found."""


def taken(spec: Any, name: str, value: Any) -> bool:
    """Whether genkit sample takes it, alone or beside another sampler."""
    for other in ({}, *({"sampler": kind} for kind in SAMPLERS if name != "sampler")):
        try:
            configured(seeded(spec), {**other, name: value})
        except GenkitError:
            continue
        return True
    return False


@pytest.mark.parametrize("name", GENERATOR_SPECS)
def test_a_knob_for_all_that_is_taken(name: str) -> None:
    spec = GENERATOR_SPECS[name]
    knobs = {knob.name: knob for knob in option_knobs(seeded(spec), [])}
    assert all(knob.low <= knob.start <= knob.high for knob in knobs.values() if isinstance(knob, Slide))
    for option, value in GIVEN:
        knob = knobs.get(option)
        offered = value in knob.choices if isinstance(knob, Choice) else knob is not None
        assert offered == taken(spec, option, value), (option, value)


@pytest.mark.parametrize("name", GENERATOR_SPECS)
def test_a_knob_for_every_condition(name: str) -> None:
    generator = seeded(GENERATOR_SPECS[name])
    knobs = condition_knobs(generator)
    assert [knob.name for knob in knobs] == list(generator.conditions)
    for knob in knobs:
        if isinstance(knob, Picture):
            continue
        texts = knob.choices if isinstance(knob, Choice) else tuple(map(knob.text, (knob.low, knob.start, knob.high)))
        for text in texts:
            assert generator.conditions[knob.name].check(knob.name, [text], 1).shape[0] == 1


def test_what_is_tried_leaves_no_trace() -> None:
    generator = seeded(GENERATOR_SPECS["ddpm-0"])
    before = generator.solver.config
    drawn = generator.sample(2, rng=torch.Generator().manual_seed(0))
    assert option_knobs(generator, [])
    made = Wishes(options={"steps": "2"}).generator(generator)
    assert made.solver.config["steps"] == "2" and generator.solver.config == before
    assert torch.equal(generator.sample(2, rng=torch.Generator().manual_seed(0)), drawn)


def test_a_copy_shares_its_tensors() -> None:
    generator = seeded(GENERATOR_SPECS["ddpm-0"])
    pairs = zip(generator.parameters(), shared_copy(generator).parameters(), strict=True)
    assert all(one is other for one, other in pairs)


def test_the_command_of_wishes() -> None:
    wishes = Wishes(4, 7, {"label": "ankle boot"}, {"scale": 2.0, "steps": "9"})
    expected = "genkit sample w -n 4 --seed 7 --condition 'label=ankle boot' --scale 2 --steps 9 --out samples --grid"
    assert wishes.command("w") == expected


def test_an_image_that_is_missing_is_asked_for() -> None:
    found = [spec for name, spec in GENERATOR_SPECS.items() if name.startswith("upsampler")]
    generator = seeded(found[0])
    with pytest.raises(GenkitError, match=r"^drop .* for low res first"):
        Wishes().rows(generator, 2)
    assert [knob.name for knob in condition_knobs(generator) if isinstance(knob, Picture)] == ["low_res"]


def test_a_slider_starts_where_it_changes_something() -> None:
    generator = seeded(GENERATOR_SPECS["styleex-0"])
    (knob,) = option_knobs(generator, [])
    assert isinstance(knob, Slide)
    made = configured(shared_copy(generator), {knob.name: knob.start})
    plain, changed = (one.sample(4, rng=torch.Generator().manual_seed(0)) for one in (generator, made))
    assert not torch.equal(plain, changed)


@pytest.mark.parametrize("name", GENERATOR_SPECS)
def test_a_slider_for_each_part_that_is_taken(name: str) -> None:
    generator = seeded(GENERATOR_SPECS[name])
    parts = [knob for knob in option_knobs(generator, []) if isinstance(knob, PartSlide)]
    assert [knob.part for knob in parts] == list(slices_of(generator))
    for knob in parts:
        options = options_of([(knob, knob.start)], parts)
        assert options == {"truncation": {knob.part: knob.start}}
        plain, changed = (
            Wishes(options=asked).generator(generator).sample(4, rng=torch.Generator().manual_seed(0))
            for asked in ({}, options)
        )
        assert not torch.equal(plain, changed)


def test_a_controlled_gan_has_them() -> None:
    assert slices_of(seeded(GENERATOR_SPECS["controlled-0"])) == ("shape", "rest")


def test_a_part_goes_before_the_whole() -> None:
    whole, *parts = (Slide("psi", "", 0, 1, 0.7), *(PartSlide("psi", "", 0, 1, 0.7, part=part) for part in "ab"))
    assert options_of([(whole, 0.5)], [whole, *parts]) == {"psi": 0.5}
    assert options_of([(whole, 0.5), (parts[1], 0.2)], [whole, *parts]) == {"psi": {"a": 0.5, "b": 0.2}}
    assert options_of([(parts[1], 0.2)], [whole, *parts]) == {"psi": {"b": 0.2}}
    command = Wishes(options={"psi": {"a": 0.5, "b": 0.2}}).command("w")
    assert "--psi a=0.5,b=0.2 " in command


def test_two_probabilities_are_one_slider() -> None:
    column = Probabilities(2, ["4", "9"])
    knob = of_column("probabilities", column)
    assert isinstance(knob, Slide) and knob.text(0.75) == "0.25/0.75"
    assert column.check("probabilities", knob.text(knob.high), 1).tolist() == [[0.0, 1.0]]


def test_a_free_column_says_who_chooses() -> None:
    about = [of_column("hue", Values(0, 1, free=free)).about for free in (True, False)]
    assert about == ["numbers from 0 to 1; the generator chooses where it is not set", "numbers from 0 to 1"]
