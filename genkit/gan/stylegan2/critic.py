"""The residual discriminator of StyleGAN2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated

import torch
from einops import rearrange
from pydantic import Field
from torch import Tensor, nn

from genkit.core.errors import RecipeError
from genkit.core.processes import my_rows, whole_batch_through
from genkit.gan.networks.critic import Critic
from genkit.gan.stylegan2.equalised import EqualisedConv2d, EqualisedLinear
from genkit.gan.stylegan2.fir import FIR
from genkit.gan.stylegan2.mapping import LR_MULTIPLIER, LrMultiplier, MappingNetwork
from genkit.gan.stylegan2.widths import Config, StyleSize, map_widths
from genkit.layers.arguments import Channels, Classes, Depth, Width, check_classes, probabilities

HALF_POWER = 0.5**0.5
GroupSize = Annotated[int, Field(ge=1, le=64)]


class HalvingBody(nn.Module):
    """Images (B, channels, size, size) -> (B, width of the smallest map): the body of critic and encoder.

    A subclass calls `make_body` once its own constructor has run.
    """

    def make_body(self, channels: int, widths: Sequence[int], skips: bool, group: int) -> None:
        """`widths` of the maps of 4, 8, ..., size pixels; `group` of the minibatch deviation, 1 for none."""
        last = widths[0]
        self.fromrgb = EqualisedConv2d(channels, widths[-1], 1)
        self.blocks = nn.Sequential(*(HalvingBlock(a, b, skips) for a, b in pairwise(widths[::-1])))
        self.deviation = MinibatchDeviation(group) if group > 1 else None
        self.conv = EqualisedConv2d(last + (group > 1), last, 3)
        self.dense = EqualisedLinear(16 * last, last, active=True)

    def features(self, x: Tensor) -> Tensor:
        x = self.blocks(self.fromrgb(x))
        x = x if self.deviation is None else self.deviation(x)
        h: Tensor = self.dense(rearrange(self.conv(x), "b c h w -> b (c h w)"))
        return h


class StyleGAN2Critic(HalvingBody, Critic):
    """Images -> scores: residual blocks that halve the map, minibatch deviation at 4 pixels, two dense layers.

    With classes the score is <head(h), mapping(label)> / sqrt(feature_dim) (Karras et al. 2020b, arXiv:2006.06676).
    With several outputs it is sum_k p_k head_k(h), p the condition `probabilities` (StylEx, Lang et al. 2021).

    Args:
        size: side length in pixels, a power of two.
        channels: 1 for grey, 3 for colour.
        config, widths: channels of the maps, as of StyleGAN2Generator.
        skips: residual blocks; without, the plain ones that Karras et al. 2020b take for CIFAR-10.
        group: samples of a group of the minibatch deviation, 1 for none.
        depth: layers of the mapping of labels.
        classes: 0 is unconditional.
        outputs: one score for each of so many classes, weighed by their probabilities; 0 has a single one.
        lr_multiplier: learning-rate multiplier of the mapping's layers.

    Raises:
        RecipeError: a size that is no power of two, widths that do not go with it, or classes and outputs at once.
    """

    def __init__(
        self,
        size: StyleSize = 32,
        channels: Channels = 3,
        config: Config = "f",
        widths: Sequence[Width] = (),
        skips: bool = True,
        group: GroupSize = 4,
        depth: Depth = 8,
        classes: Classes = 0,
        outputs: Classes = 0,
        lr_multiplier: LrMultiplier = LR_MULTIPLIER,
    ):
        every = map_widths(size, config, widths)
        last = every[0]
        super().__init__((channels, size, size), last, 0)
        if classes and outputs:
            raise RecipeError(f"outputs: a critic of {classes} labels has one score; set classes or outputs to 0")
        self.classes, self.outputs = check_classes(classes), check_classes(outputs, "outputs")
        self.make_body(channels, every, skips, group)
        self.head = EqualisedLinear(last, last if classes else outputs or 1)
        self.mapping = MappingNetwork(0, last, depth, classes, lr_multiplier) if classes else None

    def score(self, features: Tensor, condition: Mapping[str, Tensor] | None = None) -> Tensor:
        score: Tensor = self.head(features)
        if self.outputs:
            return (score * probabilities(condition, self.outputs)).sum(1)
        if self.mapping is None:
            return score.squeeze(1)
        return (score * self.mapping(None, condition)).sum(1) / self.feature_dim**0.5


class HalvingBlock(nn.Module):
    """(B, inputs, H, W) -> (B, outputs, H / 2, W / 2): 3x3, smoothing, 3x3 of stride 2; the sum with a 1x1 path."""

    def __init__(self, inputs: int, outputs: int, skips: bool):
        super().__init__()
        gain = HALF_POWER if skips else 1.0
        self.conv0 = EqualisedConv2d(inputs, inputs, 3)
        self.conv1 = EqualisedConv2d(inputs, outputs, 3, stride=2, padding=0, gain=gain)
        self.skip = EqualisedConv2d(inputs, outputs, 1, linear=True, gain=gain) if skips else None
        self.fir = FIR()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv1(self.fir.smooth(self.conv0(x), 2))
        return y if self.skip is None else y + self.skip(self.fir.down(x))


class MinibatchDeviation(nn.Module):
    """Adds a channel: the deviation among the samples of a group, one number a group. Karras et al. 2018, sec. 3.

    Of B samples, sample i is in group i mod max(1, B // size): groups of `size` where that divides B, as the authors'
    code has them, of a few more where it does not, of all B below. B is the batch of all processes.

    Args:
        size: of a group, 4 in the authors' code.
    """

    mixes_samples = True

    def __init__(self, size: int = 4):
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        whole = whole_batch_through(x)
        count = max(1, len(whole) // self.size)
        if len(whole) % count:
            groups = [whole[i::count] for i in range(count)]
        else:
            groups = [rearrange(whole, "(g n) ... -> g n ...", n=count)]
        spreads = torch.cat([self._spread(group) for group in groups])
        found = my_rows(spreads.repeat(-(-len(whole) // count))[: len(whole)])
        return torch.cat([x, found.to(x.dtype)[:, None, None, None].expand(-1, 1, *x.shape[2:])], 1)

    def _spread(self, group: Tensor) -> Tensor:
        """The deviation of samples (G, ...), (1,), or of n groups of them (G, n, C, H, W), (n,)."""
        wide = group[:, None] if group.dim() == 4 else group
        wide = wide.float() if wide.dtype == torch.bfloat16 else wide
        variance = (wide - wide.mean(0)).square().mean(0)
        return (variance + 1e-8).sqrt().mean((1, 2, 3))
