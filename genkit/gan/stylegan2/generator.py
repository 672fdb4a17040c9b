"""The generator network of StyleGAN2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core.columns.column import Column
from genkit.core.columns.probabilities import Probabilities
from genkit.core.condition import Condition
from genkit.core.errors import GenkitError, RecipeError
from genkit.core.measured import Measured
from genkit.core.randomness import Randomness
from genkit.core.styled import Halfway, Styles, noise_of
from genkit.core.tree import Tree
from genkit.gan.control.split_mapping import SplitMapping, check_split, slices_of
from genkit.gan.networks.latent import LatentNetwork
from genkit.gan.stylegan2.mapping import LR_MULTIPLIER, LrMultiplier, MappingNetwork
from genkit.gan.stylegan2.synthesis import Synthesis
from genkit.gan.stylegan2.widths import Config, StyleSize, map_widths
from genkit.layers.arguments import Channels, Classes, Depth, LatentDim, Width, check_classes, probabilities


class StyleGAN2Generator(LatentNetwork, Measured):
    """z -> w -> images: a mapping network, and a synthesis network with skip connections. Karras et al. 2020.

    Latents are a mapping: z (B, latent_dim), and `noise`, a list of one map (B, 1, side, side) for each convolution. In
    training mode also `other` (B, latent_dim) and `crossover` (B,) for style mixing: from that vector of W+ on an image
    is of the other latent. An image draws its own crossover, where the authors draw one a batch. A tensor z alone is
    taken too; noise is then that of the buffers. Images are unbounded; those of `sample` are cut to [-1, 1].

    Args:
        latent_dim: width of z.
        size: side length in pixels, a power of two.
        channels: 1 for grey, 3 for colour.
        config: channels of the maps: "f" of the paper's configuration F, "e" of A to E, half of it from 64 pixels up.
        widths: channels of the maps of 4, 8, ... pixels, in place of `config`.
        style_dim: width of w.
        depth: layers of the mapping network.
        mixing: share of the images that are of two latents, in training.
        classes: 0 is unconditional.
        split: slices of z and w by name, in their order, with their widths: each has a mapping network of its own, so
            that a slice of w is a function of that slice of z alone (Shoshan et al. 2021). None has one for all of z.
        mid: width of the hidden layers of each of these.
        appended: classes whose probabilities, the condition `probabilities`, are joined to w before the affine layers
            (StylEx, Lang et al. 2021); the mapping, W+ of `to_w` and w_avg are of w alone. 0 for none.
        lr_multiplier: learning-rate multiplier of the mapping's layers.

    Attributes:
        w_avg: mean of w, for truncation; zero until it is measured.
        slices: where each name of `split` lies; empty without.

    Raises:
        RecipeError: a size that is no power of two, widths that do not go with it, a split that does not add up, or
            appended beside classes or a split.
    """

    w_avg: Tensor

    def __init__(
        self,
        latent_dim: LatentDim = 512,
        size: StyleSize = 32,
        channels: Channels = 3,
        config: Config = "f",
        widths: Sequence[Width] = (),
        style_dim: Width = 512,
        depth: Depth = 8,
        mixing: Annotated[float, Field(ge=0, le=1)] = 0.9,
        classes: Classes = 0,
        split: dict[str, Width] | None = None,
        mid: Width = 256,
        appended: Classes = 0,
        lr_multiplier: LrMultiplier = LR_MULTIPLIER,
    ):
        if split:
            check_split(split, latent_dim, style_dim, classes, mixing)
        if appended and (classes or split):
            raise RecipeError(f"appended: w of {appended} classes goes with neither classes nor split; leave one out")
        super().__init__(latent_dim, (channels, size, size), 0)
        self.classes, self.style_dim, self.mixing = check_classes(classes), style_dim, mixing
        self.appended = check_classes(appended, "appended")
        self.mapping: nn.Module = (
            SplitMapping(split, mid, depth, lr_multiplier)
            if split
            else MappingNetwork(latent_dim, style_dim, depth, classes, lr_multiplier)
        )
        self.slices = slices_of(split or {})
        self.synthesis = Synthesis(size, channels, style_dim + appended, map_widths(size, config, widths))
        self.register_buffer("w_avg", torch.zeros(style_dim))

    @property
    def style_channels(self) -> Mapping[str, int]:
        return self.synthesis.style_channels

    @property
    def style_layers(self) -> Mapping[str, int]:
        return self.synthesis.style_layers

    @property
    def conditions(self) -> dict[str, Column]:
        return super().conditions | ({"probabilities": Probabilities(self.appended)} if self.appended else {})

    def noise(self, randomness: Randomness) -> list[Tensor]:
        """One map (B, 1, side, side) for each convolution."""
        return [randomness.normal(1, s, s) for s in self.synthesis.noise_sides]

    def latents(self, randomness: Randomness) -> dict[str, Any]:
        z = randomness.normal(self.latent_dim)
        drawn: dict[str, Any] = {"z": z, "noise": self.noise(randomness)}
        if self.training and self.mixing:
            last = self.synthesis.depth - 1
            mixed = randomness.uniform() < self.mixing
            crossover = torch.where(mixed, 1 + randomness.integers(last), last + 1)
            drawn |= {"other": randomness.normal(self.latent_dim), "crossover": crossover}
        return drawn

    def forward(self, z: Tree, condition: Condition | None = None) -> Tensor:
        return self.synthesise(self.joined(self.to_w(z, condition), condition), noise_of(z))

    def decode(self, z: Tensor) -> Tensor:
        return self.synthesise(self.mapping(z))

    def to_w(self, latents: Tree, condition: Condition | None = None) -> Tensor:
        """W+ of latents, (B, depth, style_dim)."""
        given: Mapping[str, Any] = latents if isinstance(latents, Mapping) else {"z": latents}
        every = self.spread(self.mapping(given["z"], condition))
        if "other" not in given:
            return every
        other = self.mapping(given["other"], condition)
        before = torch.arange(self.synthesis.depth, device=every.device) < given["crossover"][:, None]
        return torch.where(before[:, :, None], every, other[:, None])

    def joined(self, w: Tensor, condition: Condition | None = None) -> Tensor:
        """W (B, style_dim) or W+ as `styles` and `synthesise` take them: with the probabilities joined to each vector,
        where there are classes appended.

        Raises:
            ConditionError: there are, and no probabilities.
        """
        if not self.appended:
            return w
        p = probabilities(condition, self.appended).to(w.dtype)
        return torch.cat([w, p if w.dim() == 2 else p[:, None].expand(-1, w.shape[1], -1)], -1)

    def spread(self, w: Tensor, appended: int = 0) -> Tensor:
        """W (B, style_dim + appended) as W+ (B, depth, ...), one vector for all layers; W+ as it is.

        Raises:
            GenkitError: neither of them.
        """
        depth, width = self.synthesis.depth, self.style_dim + appended
        if w.dim() == 2 and w.shape[1] == width:
            return w[:, None].expand(-1, depth, -1)
        if w.shape[1:] != (depth, width):
            raise GenkitError(f"w: (B, {width}) or (B, {depth}, {width}) are accepted, got {list(w.shape)}")
        return w

    def styles(self, w: Tensor) -> dict[str, Tensor]:
        return self.synthesis.styles(self.spread(w, self.appended))

    def synthesise(
        self, w: Tensor | Styles, noise: Sequence[Tensor] | None = None, start: Halfway | None = None
    ) -> Tensor:
        image: Tensor = self.synthesis(self._styles(w), noise, start)
        return image

    def halfway(self, w: Tensor | Styles, noise: Sequence[Tensor] | None = None) -> dict[str, Halfway]:
        return self.synthesis.halfway(self._styles(w), noise)

    def moved(self, state: Halfway, style: Tensor, channels: Tensor, values: Tensor) -> Halfway:
        return self.synthesis.moved(state, style, channels, values)

    def _styles(self, w: Tensor | Styles) -> Styles:
        return self.styles(w) if isinstance(w, Tensor) else w

    @torch.no_grad()
    def measure(self, randomness: Randomness) -> None:
        """w_avg, the mean of w over latents (and labels) of `randomness`; the authors keep a moving one in training."""
        z = randomness.normal(self.latent_dim).to(self.w_avg)
        condition = {"label": randomness.integers(self.classes).to(z.device)} if self.classes else None
        self.w_avg.copy_(self.mapping(z, condition).mean(0))
