"""Plans of each system for somebody's own images, from the largest network down: chosen by the time that there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from genkit.core.catalog import parameters
from genkit.core.errors import DataError, RecipeError

if TYPE_CHECKING:
    from genkit.training.starters.survey import Survey

FEW = 20_000
"""Images below which a critic learns them by heart unless it sees them augmented."""
A_CLASS = 50
"""Images of the smallest class from which on a generator is told the class."""
SIDES = (32, 64, 128, 256)
LEAST_SIDE, HALVED = 16, 4
"""Images that all have one side keep it, from this one on, where 4 divides it: networks halve their maps twice."""
PATIENT, VERY_PATIENT = 240, 1440
"""Minutes from which on images of 64, and of 128 pixels are worth the wait; with a GPU a tenth of them."""


@dataclass(frozen=True)
class SystemPlan:
    """A system for somebody's own images.

    Attributes:
        name: as the field writes it.
        about: when to choose it.
        rungs: values of its template, from the largest network down.
        enough: iterations that show what the data are; fewer of a larger network do not.
        most: iterations beyond which there is little to gain.
        sides: side lengths that it makes; none for all.
        starts: (channels, side length) of few images -> shipped weights that were a better start than none.
    """

    name: str
    about: str
    rungs: Sequence[Mapping[str, Any]]
    enough: int
    most: int
    sides: tuple[int, ...] = ()
    starts: Mapping[tuple[int, int], str] = field(default_factory=dict)


PLANS: Mapping[str, SystemPlan] = {
    "gan": SystemPlan(
        "GAN",
        "fast, sharp, sometimes of too little variety",
        (
            {"width": 64, "batch": 64},
            {"width": 48, "batch": 32},
            {"width": 32, "batch": 32},
            {"width": 24, "batch": 32},
        ),
        6_000,
        60_000,
        starts={(3, 32): "small-photos-gan"},
    ),
    "stylegan2": SystemPlan(
        "StyleGAN2",
        "sharper, with styles to edit; slower",
        (
            {"most": 512, "base": 64, "batch": 32},
            {"most": 128, "base": 32, "batch": 32},
            {"most": 48, "base": 16, "batch": 32},
            {"most": 32, "base": 8, "batch": 16},
        ),
        6_000,
        100_000,
        SIDES,
    ),
    "ddpm": SystemPlan(
        "Diffusion model",
        "variety and steady training; samples take many passes",
        (
            {"width": 64, "batch": 64},
            {"width": 48, "batch": 32},
            {"width": 32, "batch": 32},
            {"width": 32, "batch": 16},
        ),
        4_000,
        100_000,
        (*range(16, 33, 4), *range(40, 65, 8), *range(80, 257, 16)),
    ),
    "vae": SystemPlan(
        "VAE",
        "soft images, and what is unusual among yours",
        ({"width": 600, "batch": 100}, {"width": 400, "batch": 100}, {"width": 300, "batch": 50}),
        3_000,
        50_000,
    ),
}


@dataclass(frozen=True)
class Shape:
    """Of the images that are made.

    Attributes:
        size: side length in pixels.
        channels: 1 or 3.
        enlarge: whether some of the images are smaller than this.
    """

    size: int
    channels: int
    enlarge: bool


def shape_for(found: Survey, plan: SystemPlan, size: int | None, minutes: int) -> Shape:
    """The side length that the images and the time allow, unless it is given.

    Raises:
        DataError: a set that comes in a size which the system does not make.
        RecipeError: a size that it does not make.
    """
    from genkit.core.computing import this_device

    sides = plan.sides or tuple(range(8, 257))
    if size is None and found.fixed and found.fixed[-1] in sides:
        size = found.fixed[-1]
    if size is None:
        scale = 1 if this_device().type == "cpu" else 10
        most = 128 if minutes * scale >= VERY_PATIENT else 64 if minutes * scale >= PATIENT else 32
        least, middle, largest = (int(found.sides[k]) for k in (0, (len(found.sides) - 1) // 2, -1))
        usual = max((side for side in SIDES if side <= min(most, middle)), default=SIDES[0])
        kept = LEAST_SIDE <= least == largest <= most and least % HALVED == 0 and least in sides
        size = least if kept else usual
    if size not in sides:
        some = ", ".join(map(str, sides[:9])) + (f", ... {sides[-1]}" if len(sides) > 9 else "")
        raise RecipeError(f"--size {size}: this system makes images of {some} pixels")
    if found.fixed and found.fixed[-1] != size and not _takes_a_size(found.spec["type"]):
        raise DataError(f"{found.name} comes in {found.fixed[-1]} pixels; leave --size out, or choose another system")
    channels = found.fixed[0] if found.fixed else 3 if found.colour else 1
    return Shape(size, channels, found.fixed is None and int(found.sides[0]) < size)


def _takes_a_size(kind: str) -> bool:
    return "size" in parameters(kind, kind="data")
