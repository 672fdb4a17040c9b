"""Differentiable augmentation of the critic's input, as in TransGAN's code."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi
from typing import Annotated, Literal, get_args

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from pydantic import Field
from torch import Tensor

from genkit.core.errors import RecipeError
from genkit.core.processes import common_noise, network_integers, network_uniform
from genkit.gan.slots import Pair, View, check_chosen

Policy = Literal["translation", "cutout", "color", "erase_ratio", "hue"]
Fraction = Annotated[float, Field(ge=0, le=1)]


def translate(x: Tensor, share: float = 0.2) -> Tensor:
    """Each image moved by up to `share` of its side either way, a whole number of pixels, zeros moving in."""
    height, width = x.shape[-2:]
    by_y, by_x = int(height * share + 0.5), int(width * share + 0.5)
    y = torch.arange(height, device=x.device) + by_y + _integers(x, -by_y, by_y)
    x_at = torch.arange(width, device=x.device) + by_x + _integers(x, -by_x, by_x)
    padded = F.pad(x, (by_x, by_x, by_y, by_y))
    rows = padded.gather(2, rearrange(y, "b h -> b 1 h 1").expand(-1, x.shape[1], -1, padded.shape[3]))
    return rows.gather(3, rearrange(x_at, "b w -> b 1 1 w").expand(-1, x.shape[1], height, -1))


def cut_out(x: Tensor, share: float = 0.5, probability: float = 0.3) -> Tensor:
    """With `probability`, zeros in every image of the batch where its box lies; else the batch as it is.

    A box has sides of `share` of the image's and a centre anywhere in it, so that part of it may lie outside.
    """
    if _chance() >= probability:
        return x
    return _without_boxes(x, [int(side * share + 0.5) for side in x.shape[-2:]])


def erase(x: Tensor, low: float = 0.2, high: float = 0.7, probability: float = 0.3) -> Tensor:
    """As `cut_out`, with boxes of one height and one width a batch, uniform between `low` and `high` of the image's."""
    if _chance() >= probability:
        return x
    sides = [_integer(int(side * low), int(side * high)) for side in x.shape[-2:]]
    return _without_boxes(x, sides)


def recolour(x: Tensor) -> Tensor:
    """Brightness moved by U(-0.5, 0.5), then saturation scaled by U(0, 2), then contrast by U(0.5, 1.5), per image.

    Saturation is the distance from the mean over channels, contrast that from the mean over the image.
    """
    x = x + network_uniform(x, 1, 1, 1) - 0.5
    grey = reduce(x, "b c h w -> b 1 h w", "mean")
    x = grey + (x - grey) * 2 * network_uniform(x, 1, 1, 1)
    mean = reduce(x, "b c h w -> b 1 1 1", "mean")
    return mean + (x - mean) * (network_uniform(x, 1, 1, 1) + 0.5)


def turn_hue(x: Tensor, probability: float = 0.5) -> Tensor:
    """With `probability`, an image's colours (3 channels) turned about the axis of greys by an angle U(-pi, pi)."""
    angle = (2 * network_uniform(x, dtype=torch.float32) - 1) * pi
    angle = torch.where(network_uniform(x, dtype=torch.float32) < probability, angle, torch.zeros_like(angle)).to(
        x.dtype
    )
    grey, red = torch.full((3, 3), 1 / 3), torch.eye(3)
    cross = (red.roll(1, 0) - red.roll(1, 1)) / 3**0.5
    cos, sin = rearrange(angle.cos(), "b -> b 1 1"), rearrange(angle.sin(), "b -> b 1 1")
    grey, red, cross = (part.to(x) for part in (grey, red, cross))
    return torch.einsum("b i j, b j h w -> b i h w", grey + cos * (red - grey) + sin * cross, x)


class DiffAugment(View):
    """Zhao et al. 2020, arXiv:2006.10738, with the strengths of TransGAN (arXiv:2102.07074, code of its first version).

    Real, fake and interpolated batches draw independently. A gradient penalty sees the gradient
    through the augmentation. Unlike Zhao et al., cutout takes the whole batch or nothing. From the second
    version's code come `erase_ratio`, boxes of changing shape in place of `cutout`, and `hue`.

    Args:
        policy: names of the augmentations, in order.
        translation: largest shift over the side.
        cutout: side of the box over that of the image.
        cutout_probability: share of batches that have boxes, of either kind; 1 in Zhao et al., and translation 0.125
            there.

    Raises:
        RecipeError: an unknown or repeated policy.
    """

    def __init__(
        self,
        policy: Sequence[Policy] = ("translation", "cutout", "color"),
        translation: Fraction = 0.2,
        cutout: Fraction = 0.5,
        cutout_probability: Fraction = 0.3,
    ):
        super().__init__()
        check_chosen("policy", policy, get_args(Policy))
        self.policy, self.translation = tuple(policy), translation
        self.cutout, self.cutout_probability = cutout, cutout_probability

    def check(self, gan: Pair) -> None:
        shape = tuple(gan.generator.sample_shape)
        if len(shape) != 3:
            raise RecipeError(f"view: diff_augment changes images, and the generator makes {list(shape)}; leave it out")
        if "hue" in self.policy and shape[0] != 3:
            raise RecipeError(f"view.policy: hue turns colours of 3 channels, the generator makes {shape[0]}; drop hue")

    def forward(self, x: Tensor) -> Tensor:
        for name in self.policy:
            x = self._done(name, x)
        return x

    def _done(self, policy: Policy, x: Tensor) -> Tensor:
        if policy == "translation":
            return translate(x, self.translation)
        if policy == "cutout":
            return cut_out(x, self.cutout, self.cutout_probability)
        if policy == "erase_ratio":
            return erase(x, probability=self.cutout_probability)
        return turn_hue(x) if policy == "hue" else recolour(x)


def _without_boxes(x: Tensor, sides: Sequence[int]) -> Tensor:
    """Zeros where each image's box of that height and width lies, its centre anywhere."""
    inside = [_in_box(x, side, box) for side, box in zip(x.shape[-2:], sides, strict=True)]
    box = rearrange(inside[0], "b h -> b 1 h 1") & rearrange(inside[1], "b w -> b 1 1 w")
    return x.masked_fill(box, 0.0)


def _in_box(x: Tensor, side: int, box: int) -> Tensor:
    """(B, side) bool, True inside an interval of length `box` around a uniform centre."""
    start = _integers(x, 0, side - box % 2) - box // 2
    index = torch.arange(side, device=x.device)
    return (index >= start) & (index < start + box)


def _integers(x: Tensor, low: int, high: int) -> Tensor:
    """(B, 1), uniform on low..high, both included."""
    return low + network_integers(x, high + 1 - low, 1)


def _chance() -> float:
    """Uniform on [0, 1), one number for the whole batch."""
    return common_noise(lambda rng: torch.rand((), generator=rng)).item()


def _integer(low: int, high: int) -> int:
    """Uniform on low..high, one number for the whole batch."""
    return int(common_noise(lambda rng: torch.randint(low, high + 1, (), generator=rng)))
