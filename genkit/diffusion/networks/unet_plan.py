"""What decides the modules of a UNet of Dhariwal and Nichol 2021 (arXiv:2105.05233, "ADM"), checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Annotated, Literal

from pydantic import Field

from genkit.core.errors import RecipeError

Side = Annotated[int, Field(ge=4, le=1024)]
Multiplier = Annotated[float, Field(gt=0, le=16)]
Blocks = Annotated[int, Field(ge=1, le=16)]
Count = Annotated[int, Field(ge=0, le=1024)]
Patch = Annotated[int, Field(ge=1, le=16)]
Groups = Annotated[int, Field(ge=1, le=32)]
Resample = Literal["residual", "conv", "pool"]
"""Between levels: residual blocks (BigGAN, ADM), 3x3 convolutions (DDPM, IDDPM), or no parameters at all."""

GROUPS = 32


@dataclass(frozen=True)
class UNetPlan:
    """The shape of a UNet, or of its encoder half.

    Attributes:
        side: of the first map: the image's pixels, divided by the patch.
        width: of the sinusoidal embedding, and of a map at multiplier 1.
        multipliers: width of a level's maps, over `width`; each next level has half the side.
        blocks: residual blocks of a level.
        attention: sides of the maps that attention follows.
        head_width: channels of an attention head, where `heads` is 0.
        heads: how many heads at every width.
        scale_shift: whether the embedding scales and shifts after the second norm, or is added before it.
        decoder_heads: how many heads in the decoder; 0 is as everywhere.
        most_groups: of every norm, see `groups`.

    Raises:
        RecipeError: sides that do not halve, attention where there is no map, or heads or norms that do not divide.
    """

    side: int
    width: int
    multipliers: Sequence[float]
    blocks: int
    attention: Sequence[int]
    head_width: int
    heads: int = 0
    scale_shift: bool = True
    resample: Resample = "residual"
    dropout: float = 0.0
    decoder_heads: int = 0
    most_groups: int = GROUPS

    def __post_init__(self) -> None:
        if not self.multipliers:
            raise RecipeError("multipliers: at least one level is needed, got none")
        self._check_sides()
        self._check_widths()
        self._check_heads()

    @property
    def sides(self) -> list[int]:
        """Of the maps, from the finest level to the coarsest."""
        return [self.side >> level for level in range(len(self.multipliers))]

    @property
    def widths(self) -> list[int]:
        """Of the maps, from the finest level to the coarsest."""
        return [int(self.width * multiplier) for multiplier in self.multipliers]

    @property
    def map_widths(self) -> list[int]:
        """Of all maps that the encoder and the middle make, in order."""
        stem, *_, last = self.widths
        levels = [width for width in self.widths for _ in range(self.blocks + 1)]
        return [stem, *levels[:-1], last]

    @property
    def attends(self) -> list[bool]:
        """Whether attention follows the residual blocks of a level."""
        return [side in self.attention for side in self.sides]

    @property
    def attention_widths(self) -> list[int]:
        """Of all attention layers, the middle's last: there is always one in the middle."""
        return [width for width, attends in zip(self.widths, self.attends, strict=True) if attends] + self.widths[-1:]

    @property
    def groups(self) -> int:
        """Of every GroupNorm: the largest number that divides `most_groups` and every width."""
        return gcd(self.most_groups, *self.widths)

    def _check_sides(self) -> None:
        factor = 2 ** (len(self.multipliers) - 1)
        if self.side % factor:
            raise RecipeError(
                f"multipliers: {len(self.multipliers)} levels halve the map {len(self.multipliers) - 1} times, but its "
                f"side {self.side} (size / patch) is no multiple of {factor}"
            )
        if missing := [side for side in self.attention if side not in self.sides]:
            raise RecipeError(
                f"attention: there is no map of side {missing[0]}; accepted: {', '.join(map(str, self.sides))}"
            )

    def _check_widths(self) -> None:
        for multiplier, width in zip(self.multipliers, self.widths, strict=True):
            if width != self.width * multiplier or width % 8:
                raise RecipeError(
                    f"width: {self.width} times multiplier {multiplier:g} must be a multiple of 8 (groups of the norms)"
                )

    def _check_heads(self) -> None:
        for width in self.attention_widths:
            for name in ("heads", "decoder_heads") if self.heads else ("head_width", "decoder_heads"):
                self.check_divides(name, getattr(self, name), width)

    @staticmethod
    def check_divides(name: str, count: int, width: int) -> None:
        """Refuses a count that does not divide the channels of a map; 0 is none."""
        if count and width % count:
            raise RecipeError(f"{name}: {count} does not divide {width} channels")


def patched_side(size: int, patch: int) -> int:
    """size / patch.

    Raises:
        RecipeError: it is not whole.
    """
    if size % patch:
        raise RecipeError(f"patch: {patch} does not divide a size of {size}")
    return size // patch
