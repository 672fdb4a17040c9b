"""Directions below the folder that were found in the very weights of a generator."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genkit.cli.web.knobs import Knob, Moving, Slide
from genkit.cli.web.wishes import Move
from genkit.core.documents import read_mapping
from genkit.core.errors import GenkitError
from genkit.core.generator import LatentGenerator

if TYPE_CHECKING:
    from genkit.cli.web.library import Library
    from genkit.core.generator import Generator

SCORES = "scores.json"
STRENGTH, MOST = 2.0, 6.0
"""Of a move, at first and at most."""


@dataclass(frozen=True)
class Moves:
    """Directions: a name for people -> its folder and number."""

    named: Mapping[str, tuple[str, int]]

    def knobs(self) -> list[Knob]:
        """One knob; none where there are no directions."""
        if not self.named:
            return []
        far = Slide("strength", "in standard deviations of the latent; 0 leaves all as it is", -MOST, MOST, STRENGTH)
        about = "moves all samples; the galleries are among the pages"
        return [Moving("direction", about, tuple(self.named), far)]

    def move(self, wished: tuple[str, float] | None) -> Move | None:
        """The move of a value of the knob, None for none."""
        if wished is None or wished[1] == 0:
            return None
        return Move(*self.named[wished[0]], wished[1])


def moves_of(library: Library, generator: Generator) -> Moves:
    """All directions of `generator` that `library` lists; folders that cannot be read are passed over."""
    from genkit.posthoc.directions.directions_folder import of_generator, read_directions

    found = dict[str, tuple[str, int]]()
    if not isinstance(generator, LatentGenerator):
        return Moves(found)
    for name, folder in library.directions().items():
        with suppress(GenkitError, OSError, ValueError, LookupError, TypeError):
            if of_generator(folder, generator):
                directions = read_directions(folder, generator)
                follows = _follows(folder / SCORES)
                for k in range(len(directions)):
                    found[f"{name}: {directions.called(k)}{follows.get(k, '')}"] = str(folder), k
    return Moves(found)


def _follows(scores: Path) -> dict[int, str]:
    """The property that follows each direction most, in brackets; empty where there are no scores."""
    each = read_mapping(scores).get("directions", [])
    return {
        one["number"]: f" ({one['strongest']} {one['moves'][one['strongest']]:+.2f})" for one in each if one["moves"]
    }
