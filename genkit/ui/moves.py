"""Directions below the folder that were found in the very weights of a generator."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genkit.core.errors import GenkitError
from genkit.core.generator import LatentGenerator
from genkit.ui.knobs import Choice, Knob, Slide
from genkit.ui.wishes import Move

if TYPE_CHECKING:
    from genkit.core.generator import Generator
    from genkit.ui.library import Library

STRENGTH, MOST = 2.0, 6.0
"""Of a move, at first and at most."""


@dataclass(frozen=True)
class Moves:
    """Directions: a name for people -> its folder and number."""

    named: Mapping[str, tuple[str, int]]

    def knobs(self) -> list[Knob]:
        """A direction, and how far; none where there are no directions."""
        if not self.named:
            return []
        about = "standard deviations of the latent"
        return [
            Choice("direction", "all samples are moved along it", tuple(self.named)),
            Slide("strength", about, -MOST, MOST, STRENGTH),
        ]

    def move(self, name: str | None, strength: float | None) -> Move | None:
        """The move, None for none: where no strength is said, by the usual one."""
        if name is None or strength == 0:
            return None
        return Move(*self.named[name], STRENGTH if strength is None else strength)


def moves_of(library: Library, generator: Generator) -> Moves:
    """All directions of `generator` that `library` lists; folders that cannot be read are passed over."""
    from genkit.posthoc.directions.folder import of_generator, read_directions

    found = dict[str, tuple[str, int]]()
    if not isinstance(generator, LatentGenerator):
        return Moves(found)
    for name, folder in library.directions().items():
        with suppress(GenkitError, OSError, ValueError):
            if of_generator(folder, generator):
                directions = read_directions(folder, generator)
                found |= {f"{name}: {directions.called(k)}": (str(folder), k) for k in range(len(directions))}
    return Moves(found)
