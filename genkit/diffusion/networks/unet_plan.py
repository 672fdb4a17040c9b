"""The shape of a UNet of Dhariwal and Nichol 2021 (arXiv:2105.05233, "ADM"), checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Annotated, Literal

from pydantic import Field

from genkit.core.conversion import SharedArguments
from genkit.core.errors import RecipeError
from genkit.layers.arguments import Channels, Classes, Rate, Width, check_classes

SideLength = Annotated[int, Field(ge=4, le=1024)]
Multiplier = Annotated[float, Field(gt=0, le=16)]
Blocks = Annotated[int, Field(ge=1, le=16)]
LayerCount = Annotated[int, Field(ge=0, le=1024)]
Patch = Annotated[int, Field(ge=1, le=16)]
NormGroups = Annotated[int, Field(ge=1, le=32)]
Resample = Literal["residual", "conv", "pool"]
"""Between levels: residual blocks (BigGAN, ADM), 3x3 convolutions (DDPM, IDDPM), or no parameters at all."""

GROUPS = 32


@dataclass(frozen=True)
class EncoderPlan(SharedArguments):
    """The shape of the encoder and the middle of a UNet; the defaults are those of ADM at 32 pixels.

    Improved DDPM (Nichol and Dhariwal 2021) has `resample="conv"`, `heads=4`; DDPM (Ho et al. 2020) has
    `resample="conv"`, `scale_shift=False`, `heads=1`.

    Attributes:
        size: side length of the images in pixels.
        channels: 1 for grey, 3 for colour.
        width: channels of a map at multiplier 1, and of the sinusoidal embedding of the step.
        multipliers: channels of each level's maps over `width`, from fine to coarse; each level halves the side.
        blocks: residual blocks of an encoder level; a decoder level has one more.
        attention: side lengths of the maps that attention follows (size / patch / 2**level). The middle always has
            attention.
        head_width: channels of an attention head.
        heads: that many heads at every width instead; 0 goes by head_width.
        dropout: in residual blocks, before their last convolution.
        scale_shift: the embedding scales and shifts after a block's second norm ("AdaGN"); else it is added before it.
        resample: between levels: residual blocks, 3x3 convolutions, or pooling and repetition without parameters.
        patch: side length of the squares of pixels that become channels, and back at the end: 2 makes a network of half
            the side, four times as fast.
        groups: of every norm, 32 as published, or the largest divisor of it that divides every width. A group of a
            single channel loses the mean of its map, which shows as tinted or chequered samples: give narrow networks
            fewer groups.

    Raises:
        RecipeError: sides that do not halve, attention where there is no map, or heads or norms that do not divide.
    """

    size: SideLength = 32
    channels: Channels = 3
    width: Width = 128
    multipliers: Sequence[Multiplier] = (1, 2, 2, 2)
    blocks: Blocks = 2
    attention: Sequence[SideLength] = (16, 8)
    head_width: Width = 64
    heads: LayerCount = 0
    dropout: Rate = 0.0
    scale_shift: bool = True
    resample: Resample = "residual"
    patch: Patch = 1
    groups: NormGroups = GROUPS

    def __post_init__(self) -> None:
        if not self.multipliers:
            raise RecipeError("multipliers: at least one level is needed, got none")
        self._check_sides()
        self._check_widths()
        self._check_heads()

    @property
    def sides(self) -> list[int]:
        """Side lengths of the maps, from the finest level to the coarsest."""
        return [self.size // self.patch >> level for level in range(len(self.multipliers))]

    @property
    def widths(self) -> list[int]:
        """Channels of the maps, from the finest level to the coarsest."""
        return [int(self.width * multiplier) for multiplier in self.multipliers]

    @property
    def map_widths(self) -> list[int]:
        """Channels of all maps that the encoder and the middle make, in order."""
        levels = [width for width in self.widths for _ in range(self.blocks + 1)]
        return [self.widths[0], *levels[:-1], self.widths[-1]]

    @property
    def attends(self) -> list[bool]:
        """True for the levels whose residual blocks attention follows."""
        return [side in self.attention for side in self.sides]

    @property
    def attention_widths(self) -> list[int]:
        """Channels of all attention layers, the middle's last: there is always one in the middle."""
        return [width for width, attends in zip(self.widths, self.attends, strict=True) if attends] + self.widths[-1:]

    @property
    def norm_groups(self) -> int:
        """Groups of every GroupNorm: the largest number that divides `groups` and every width."""
        return gcd(self.groups, *self.widths)

    def _check_sides(self) -> None:
        if self.size % self.patch:
            raise RecipeError(f"patch: {self.patch} does not divide a size of {self.size}")
        halvings = len(self.multipliers) - 1
        if self.sides[0] % 2**halvings:
            raise RecipeError(
                f"multipliers: {halvings + 1} levels halve the map {halvings} times, but its "
                f"side {self.sides[0]} (size / patch) is no multiple of {2**halvings}"
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
            self.check_divides("heads" if self.heads else "head_width", width)

    def check_divides(self, name: str, width: int) -> None:
        """Refuses a number of heads, or a width of heads, that does not divide the channels of a map; 0 is none."""
        if (count := getattr(self, name)) and width % count:
            raise RecipeError(f"{name}: {count} does not divide {width} channels")


@dataclass(frozen=True)
class UNetPlan(EncoderPlan):
    """The shape of a whole UNet that denoises.

    Attributes:
        size, channels, width, multipliers, blocks, attention, head_width, heads, dropout, scale_shift, resample, patch,
            groups: as in EncoderPlan.
        decoder_heads: that many heads in the decoder; 0 is as everywhere.
        classes: 0 is unconditional.
        unlabelled: the label `classes` stands for "no label", as classifier-free guidance needs.
        variance: 2C output channels, the prediction and then the variance; else C.

    Raises:
        RecipeError: as EncoderPlan, or "no label" where there are no labels.
    """

    decoder_heads: LayerCount = 0
    classes: Classes = 0
    unlabelled: bool = False
    variance: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_classes(self.classes)
        if self.unlabelled and not self.classes:
            raise RecipeError(
                "unlabelled: only a network with classes can be without a label; set classes, or leave it out"
            )

    def _check_heads(self) -> None:
        super()._check_heads()
        for width in self.attention_widths:
            self.check_divides("decoder_heads", width)

    @property
    def outputs(self) -> int:
        """Channels that the network makes."""
        return self.channels * (1 + self.variance)

    @property
    def labels(self) -> int:
        """Labels that the network takes, "no label" among them."""
        return self.classes + self.unlabelled
