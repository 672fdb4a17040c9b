"""The wishes of a visitor, as genkit sample has them: a number of samples, a seed, conditions, options, a direction."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from genkit.cli.conditions import AskedConditions, asked
from genkit.cli.sampler_options import configured
from genkit.cli.web.knobs import shared_copy
from genkit.core.errors import GenkitError, kind_of

if TYPE_CHECKING:
    from genkit.core.generator import Generator

BATCH = 64
"""As genkit sample has it where nothing is said, so that the last bits are the same too."""


@dataclass(frozen=True)
class Move:
    """A move of all samples along a direction.

    Attributes:
        folder: of the directions.
        number: of the direction.
        strength: in standard deviations of the latent.
    """

    folder: str
    number: int
    strength: float

    @property
    def words(self) -> str:
        """The move, for people."""
        return f"moved by {self.strength:g} along direction {self.number} of {self.folder}"

    def of(self, generator: Any) -> Generator:
        """The generator, moved."""
        from pathlib import Path

        from genkit.core.generator import LatentGenerator
        from genkit.posthoc.directions.directions_folder import read_directions

        if not isinstance(generator, LatentGenerator):
            raise GenkitError(f"{kind_of(generator)} cannot be moved along a direction; take the options back")
        moved = read_directions(Path(self.folder), generator).edited(self.number, self.strength)
        if generator.class_names:
            moved.class_names = generator.class_names
        return moved


@dataclass(frozen=True)
class Wishes:
    """All that a picture is made of, but for the generator.

    Attributes:
        conditions: name -> value, as in `--condition NAME=VALUE`.
        options: name -> value, as genkit sample reads them.
        move: None for none.
    """

    n: int = 8
    seed: int = 0
    conditions: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    move: Move | None = None

    def generator(self, plain: Generator) -> Generator:
        """`plain` with the options set, and moved; `plain` itself stays as it is.

        Raises:
            GenkitError: an option that it has no use for.
        """
        made = configured(shared_copy(plain), dict(self.options))
        return self.move.of(made) if self.move else made

    def rows(self, generator: Generator, n: int) -> AskedConditions:
        """The conditions of n samples.

        Raises:
            GenkitError: one that is missing, or that the generator does not take.
        """
        for name, column in generator.conditions.items():
            if not column.drawable and name not in self.conditions:
                raise GenkitError(f"drop {column.about} for {name.replace('_', ' ')} first: samples are made of them")
        return asked(generator, None, [f"{name}={value}" for name, value in self.conditions.items()], n)

    def words(self, conditions: AskedConditions) -> list[str]:
        """The conditions and the move, in a few words each."""
        return [*conditions.words, *([self.move.words] if self.move else [])]

    def command(self, weights: str, last: int | None = None) -> str:
        """The command line that draws the same samples, or the way to the first of the seed `last`."""
        words = ["genkit", "sample", weights, "-n", str(self.n), "--seed", str(self.seed)]
        words += ["--to-seed", str(last)] if last is not None else []
        for name, value in self.conditions.items():
            dropped = os.path.isabs(value) and os.path.isfile(value)
            words += ["--condition", f"{name}={os.path.basename(value) if dropped else value}"]
        for name, value in self.options.items():
            parts = [f"{part}={psi:g}" for part, psi in value.items()] if isinstance(value, Mapping) else [_text(value)]
            words += [f"--{name}", ",".join(parts)]
        if not self.move:
            return shlex.join([*words, "--out", "samples", "--grid"])
        first = ["genkit", "edit", weights, "--directions", self.move.folder, "--direction"]
        first += [f"{self.move.number}={self.move.strength:g}", "--out", "moved"]
        words[2] = "moved"
        return shlex.join(first) + "\n" + shlex.join([*words, "--out", "samples", "--grid"])


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
