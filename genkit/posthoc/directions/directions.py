"""Directions of a generator: what is found, what can be asked for by name, and pictures of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from genkit.core import tree
from genkit.core.columns.values import Values
from genkit.core.condition import Condition, ConditionSpace
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import GenkitError, shown, suggest
from genkit.core.evaluating import evaluating
from genkit.core.frozen import freeze
from genkit.core.generator import LatentGenerator
from genkit.core.randomness import Rows
from genkit.posthoc.directions.deformators import Deformator, FixedDirections, check_number
from genkit.posthoc.directions.edited import Edited, FromItsLatents, check_width
from genkit.posthoc.directions.shifts import usual
from genkit.posthoc.directions.spaces import BATCH, NUMBERS, measured, space_of

LABEL = "label"
"""The condition that --label is short for."""
PICTURED, COLUMNS = 8, 9
"""Directions and strengths of a picture of them."""
DIGITS = 18
"""Longest number of a direction that is read."""


class Directions(FromItsLatents):
    """Numbered directions in a space of a generator, which is frozen here. Samples are those of the generator, moved as
    far as is asked for: the names of directions are conditions, beside the generator's own, and take strengths.

    Args:
        generator: with latents.
        deformator: makes a shift of a number and a strength.
        space: that they live in, see `space_of`.
        names: of the first directions, "" for one that has none.

    Attributes:
        unit: () of strengths: the standard deviation of the latent, 1 until it is measured.
        mean: (dim,) of the latent, zero until then.

    Raises:
        GenkitError: no such space, one of another width, a name twice, or that of a condition.
    """

    unit: Tensor
    mean: Tensor

    def __init__(self, generator: LatentGenerator, deformator: Deformator, space: str = "z", names: Sequence[str] = ()):
        super().__init__()
        self.generator, self.deformator = freeze(generator), deformator
        self.space = space_of(generator, space)
        check_width(deformator, self.space.dim, space)
        self.register_buffer("unit", torch.ones(()))
        self.register_buffer("mean", torch.zeros(self.space.dim))
        self.sample_shape, self.made = generator.sample_shape, generator.made
        self.name(names)

    def __len__(self) -> int:
        return self.deformator.directions

    @property
    def reach(self) -> float:
        """The strength at either end of a picture."""
        return usual(self.space.dim).scale

    def name(self, names: Sequence[str]) -> None:
        """Gives names to the first directions.

        Raises:
            GenkitError: more names than directions, one twice, one that is a number, or that no command could ask for.
        """
        given, own = [name for name in names if name], self.generator.conditions
        differ = len({_seen(name) for name in given}) == len(given)
        if len(names) > len(self) or not differ or any(_seen(name).isdecimal() for name in given):
            raise GenkitError(
                f"{len(self)} directions take at most as many names, each once (BOLD is bold) and none a number, got "
                f"{shown(names)}"
            )
        asked = {LABEL, *map(_seen, own)}
        if taken := [name for name in given if _seen(name) in asked]:
            raise GenkitError(f"{shown(taken[0])} is what a generator is asked for; call the direction otherwise")
        if unusable := [name for name in given if not _usable(name)]:
            raise GenkitError(
                f"{shown(unusable[0])}: in --condition NAME=STRENGTH a name has no = and no comma, no space at its "
                "ends, no line break or turn of the writing, and something to be seen; call the direction otherwise"
            )
        strengths = {name: Values(-self.reach, self.reach, free=True) for name in given}
        self.conditions = ConditionSpace({**own, **strengths}, own.absent, own.examples, own.exemplary)
        self.names = tuple(names) + ("",) * (len(self) - len(names))
        self.config["names"] = list(self.names) if given else []

    def called(self, number: int) -> str:
        return self.names[number] or f"direction {number}"

    def number(self, name: str | int) -> int:
        """The number of a direction that is given by number or name.

        Raises:
            GenkitError: there is none.
        """
        if isinstance(name, int) or (name.isdecimal() and len(name) <= DIGITS):
            check_number(int(name), len(self))
            return int(name)
        if name not in self.names or not name:
            known = [known for known in self.names if known]
            choice = (
                suggest(str(name), known)
                if known
                else (f"; give a number from 0 to {len(self) - 1}, or write names into directions.yaml")
            )
            raise GenkitError(f"no direction is called {shown(name)}{choice}")
        return self.names.index(name)

    def measure(self, seed: int = 0, crew: Crew = ALONE) -> None:
        """Sets unit and mean by the latents that the generator draws."""
        found = measured(self.space, seed=seed, crew=crew)
        self.unit.copy_(found.unit)
        self.mean.copy_(found.mean)

    def forward(self, z: Any, condition: Condition | None = None) -> Tensor:
        asked = {name: rows for name, rows in (condition or {}).items() if name in self.names}
        own = {name: rows for name, rows in (condition or {}).items() if name not in asked}
        if not asked:
            return self.generator(z, own)  # type: ignore[no-any-return]
        shifts = [self.deformator.along(self.names.index(name), rows.nan_to_num()) for name, rows in asked.items()]
        return self.space.images(z, own, self.unit * sum(shifts))

    def shifts(self, strengths: Tensor) -> Tensor:
        """Shifts (B, dim) of strengths (B, K), with a graph."""
        shifts: Tensor = self.unit * self.deformator(strengths)
        return shifts

    def rows(self) -> Tensor:
        """Each direction at strength 1, (K, dim) in units."""
        with torch.no_grad(), evaluating(self):
            return self.deformator(torch.eye(len(self), device=self.unit.device))  # type: ignore[no-any-return]

    def edited(self, direction: int | str, strength: float) -> Edited:
        """The generator moved along a direction, which is given by number or name.

        Raises:
            GenkitError: there is none.
        """
        number = self.number(direction)
        settings: dict[str, Any] = {"strength": strength, "space": self.space.name, "unit": self.unit.item()}
        if self.deformator.straight:
            one = FixedDirections.of(self.rows()[number : number + 1].cpu())
            return Edited(self.generator, one, **settings).to(self.unit.device)
        return Edited(self.generator, self.deformator, number=number, **settings)

    def moved(self, direction: int | str, strength: float) -> Directions:
        """The same directions, of the generator that one of them, by number or name, has moved already.

        Raises:
            GenkitError: there is none.
        """
        return self.of(self.edited(direction, strength))

    def of(self, generator: LatentGenerator) -> Directions:
        """The same directions, of another generator.

        Raises:
            GenkitError: its latent is another.
        """
        found = Directions(generator, self.deformator, self.space.name, self.names)
        found.unit.copy_(self.unit)
        found.mean.copy_(self.mean)
        return found.to(self.unit.device)

    @torch.no_grad()
    def strip(self, direction: int | str, strengths: Sequence[float], seeds: Sequence[int]) -> Tensor:
        """A row a seed and a column a strength, (seeds, strengths, C, H, W) in [-1, 1]; 0 is the sample of the seed.

        Args:
            direction: its number or name.

        Raises:
            GenkitError: there is none, or neither a strength nor a seed.
        """
        number = self.number(direction)
        if not len(strengths) or not len(seeds):
            raise GenkitError("a strip needs at least one strength and one seed")
        at = torch.tensor([float(s) for s in strengths], device=self.unit.device).repeat(len(seeds))
        with evaluating(self):
            shift = self.unit * self.deformator.along(number, at)
            latents, condition = samples_of(self.generator, seeds)
            every = tree.map(lambda part: part.repeat_interleave(len(strengths), 0), (latents, condition))
            most = max(1, min(BATCH, NUMBERS // torch.Size(self.sample_shape).numel()))
            parts = [
                self.space.images(*tree.map(lambda part, k=k: part[k : k + most], every), shift[k : k + most])
                for k in range(0, len(at), most)
            ]
        return rearrange(torch.cat(parts).clamp(-1, 1), "(r s) c h w -> r s c h w", r=len(seeds))

    shows = "A row a direction: one sample, moved from one end of it to the other"

    def pictured(self, rng: torch.Generator, crew: Crew = ALONE) -> tuple[Tensor, int]:
        """A row a direction, from one end to the other, of one sample."""
        seed = int(torch.randint(2**31, (), generator=rng))
        strengths = torch.linspace(-self.reach, self.reach, COLUMNS).tolist()
        mine = {k: self.strip(k, strengths, [seed])[0].cpu() for k in range(min(PICTURED, len(self))) if crew.has(k)}
        return torch.cat(crew.gathered(mine)), COLUMNS


BREAKS, TURNS = ("Cc", "Zl", "Zp"), ("LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
"""Kinds of characters that end a line or control a terminal, and that turn the direction of writing."""
BLANK = "\u034f\u115f\u1160\u2800\u3164\uffa0"
"""Letters and signs that are not seen, beside the selectors of variants."""


def _usable(name: str) -> bool:
    """Whether a command can ask for it."""
    controls = any(unicodedata.category(c) in BREAKS or unicodedata.bidirectional(c) in TURNS for c in name)
    return not set(name) & {"=", ","} and name == name.strip() and bool(_seen(name)) and not controls


def _seen(name: str) -> str:
    """The part of a name that an eye tells from others: no case, one way to write a letter, nothing unseen."""
    letters = unicodedata.normalize("NFKC", name).casefold()
    kept = " ".join("".join(filter(_shows, letters)).split())
    return kept if any(unicodedata.category(c)[0] in "LNPS" for c in kept) else ""


def _shows(c: str) -> bool:
    """Whether something of a character is seen, if only as a space."""
    unseen = unicodedata.category(c) == "Cf" or "VARIATION SELECTOR" in unicodedata.name(c, "")
    return not unseen and c not in BLANK


def samples_of(generator: LatentGenerator, seeds: Sequence[int]) -> Any:
    """Latents and conditions of the samples that `sample(1, rng=seed)` gives for each seed."""
    parts = []
    for seed in seeds:
        rows = Rows(1, torch.Generator().manual_seed(int(seed)), generator.device)
        condition = generator.conditions.resolve(None, 1, rows)
        parts.append((generator.latents(rows), condition))
    return tree.map(lambda *rows: torch.cat(rows).to(generator.device), *parts)
