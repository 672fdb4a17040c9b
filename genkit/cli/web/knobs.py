"""Knobs of a generator: everything that can be asked of it, found by asking it.

Conditions come from its columns. The options are those of `genkit sample`, tried one by one: a generator has the knob
of every option that it does not refuse, alone or beside another sampler.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from genkit.cli.places import WEIGHTS
from genkit.cli.sampler_options import SAMPLERS, Truncation, configured, sampler_options, slices_of
from genkit.core.columns.images import Images
from genkit.core.columns.probabilities import Probabilities
from genkit.core.columns.values import Values
from genkit.core.errors import GenkitError

if TYPE_CHECKING:
    from genkit.core.columns.column import Column
    from genkit.core.generator import Generator

TRIED, STEPS = 0.5, "2"
"""Values by which it is found out whether a number, or a text, is taken."""

WIDE = 20.0
"""A slider's end, where the option's own is beyond."""
SENTENCE = re.compile(r"\. (?=[A-Z])")
"""The end of one in a help, unlike that of "e.g. 2"."""


@dataclass(frozen=True)
class Choice:
    """One of some texts, or none of them."""

    name: str
    about: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Slide:
    """A number from low to high, or none."""

    name: str
    about: str
    low: float
    high: float
    start: float
    whole: bool = False

    def text(self, value: float) -> str:
        """A number of it as --condition takes it."""
        return f"{value:.6g}"


class TwoClassSlide(Slide):
    """The probability of the second of two classes; the rest is that of the first."""

    def text(self, value: float) -> str:
        return f"{1 - value:.6g}/{value:.6g}"


@dataclass(frozen=True)
class PartSlide(Slide):
    """A number of an option, for one of the parts of a latent alone."""

    part: str = ""


@dataclass(frozen=True)
class Moving(Choice):
    """One of some directions, and how far.

    Attributes:
        far: strengths.
    """

    far: Slide


@dataclass(frozen=True)
class Line:
    """A short text, or none."""

    name: str
    about: str


@dataclass(frozen=True)
class Picture:
    """An image file, which must be given."""

    name: str
    about: str


Knob: TypeAlias = Choice | Slide | Line | Picture


def condition_knobs(generator: Generator) -> list[Knob]:
    """A knob for each column of its conditions."""
    return [of_column(name, column) for name, column in generator.conditions.items()]


def option_knobs(generator: Generator, weights: Iterable[str]) -> list[Knob]:
    """A knob for each option of genkit sample that it has a use for.

    Args:
        weights: places of what may be given where an option takes weights.
    """
    found = [(option, _of_option(generator, option, tuple(weights))) for option in _options()]
    return [knob for option, whole in found if whole for knob in (whole, *_of_parts(generator, option, whole))]


def options_of(chosen: Iterable[tuple[Knob, Any]], knobs: Iterable[Knob]) -> dict[str, Any]:
    """Options as genkit sample reads them, of what knobs are set to; a part goes before the whole.

    Args:
        chosen: knobs that are set.
        knobs: all that there are.
    """
    values = list(chosen)
    options: dict[str, Any] = {knob.name: value for knob, value in values if not isinstance(knob, PartSlide)}
    for name in dict.fromkeys(knob.name for knob, _ in values if isinstance(knob, PartSlide)):
        whole = options.get(name)
        parts = {knob.part: whole for knob in knobs if isinstance(knob, PartSlide) and knob.name == name}
        parts |= {knob.part: value for knob, value in values if isinstance(knob, PartSlide) and knob.name == name}
        options[name] = {part: value for part, value in parts.items() if value is not None}
    return options


def shared_copy(generator: Generator) -> Generator:
    """The generator once more, over the same tensors: what is set on the one does not change the other."""
    tensors = (*generator.parameters(), *generator.buffers())
    return copy.deepcopy(generator, {id(tensor): tensor for tensor in tensors})


def refused(generator: Generator, options: Mapping[str, Any]) -> bool:
    """Whether genkit sample would refuse these options."""
    try:
        configured(shared_copy(generator), dict(options))
    except GenkitError:
        return True
    return False


def taken(generator: Generator, name: str, value: Any) -> bool:
    """Whether it has a use for an option, alone or beside another sampler of its ratio."""
    others: list[dict[str, Any]] = [{}, *({"sampler": kind} for kind in SAMPLERS)]
    return not all(refused(generator, {**other, name: value}) for other in others)


def of_column(name: str, column: Column) -> Knob:
    """The knob of a condition called `name`."""
    if isinstance(column, Images):
        return Picture(name, column.about)
    about = f"{column.asking().about}; the generator chooses where it is not set" if column.free else column.about
    if isinstance(column, Values):
        return Slide(name, about, column.low, column.high, (column.low + column.high) / 2)
    classes = getattr(column, "classes", 0)
    if isinstance(column, Probabilities) and classes == 2:
        first, second = column.names or ("0", "1")
        return TwoClassSlide(name, f"how much of {second}; the rest is of {first}", 0, 1, 0.5)
    return Choice(name, about, column.names or tuple(map(str, range(classes))))


def _options() -> Iterator[click.Option]:
    """The options in the order of `genkit sample --help`."""
    carrier = sampler_options(lambda: None)  # type: ignore[arg-type, return-value]
    yield from reversed(carrier.__click_params__)  # type: ignore[attr-defined]


def _of_parts(generator: Generator, option: click.Option, whole: Knob) -> list[Knob]:
    """Knobs of the parts that an option may name, beside that of the whole."""
    if not isinstance(option.type, Truncation) or not isinstance(whole, Slide):
        return []
    slide = whole.low, whole.high, whole.start
    return [PartSlide(whole.name, "", *slide, part=part) for part in slices_of(generator)]


def _of_option(generator: Generator, option: click.Option, weights: tuple[str, ...]) -> Knob | None:
    name, about, kind = str(option.name), option.help or "", option.type
    if isinstance(kind, click.Choice) or kind is WEIGHTS:
        given = kind.choices if isinstance(kind, click.Choice) else weights
        choices = tuple(str(choice) for choice in given if not refused(generator, {name: choice}))
        return Choice(name, about, choices) if choices else None
    whole = isinstance(kind, click.IntRange)
    if isinstance(kind, (click.IntRange, click.FloatRange)):
        low, high = float(kind.min or 0), min(float(kind.max or WIDE), WIDE)
        useful = taken(generator, name, int(low) if whole else TRIED)
        start = min(max(getattr(kind, "usual", 1.0), low), high)
        return Slide(name, SENTENCE.split(about)[0], low, high, start, whole) if useful else None
    return Line(name, about) if taken(generator, name, STEPS) else None
