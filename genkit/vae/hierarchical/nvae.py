"""NVAE: a deep hierarchical variational autoencoder (Vahdat & Kautz 2020, arXiv:2007.03898)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core.errors import RecipeError
from genkit.core.precision import full
from genkit.layers.arguments import Channels, LatentDim, Width
from genkit.vae.energy.weight_norm import WeightNormConv2d
from genkit.vae.hierarchical.cells import decoder_cell, doubling_cell, encoder_cell, halving_cell
from genkit.vae.hierarchical.flows import flow_pair
from genkit.vae.networks.gaussian import Flowed, Gaussian, soft_clamp
from genkit.vae.networks.logistic_mixture import LogisticMixture
from genkit.vae.networks.vae_network import Level, Levels, Pixels, Seen, Size, VAENetwork, height_width

Count = Annotated[int, Field(ge=1, le=64)]
Groups = Annotated[tuple[Count, ...], Field(min_length=1, max_length=7)]

TOWER, ENDS = 6, 3
"""Expansions of the bottlenecks in the decoder's tower and behind it."""
TOP_DEVIATION = 1.01
"""Deviation of the authors' top prior, exp(0) + 0.01. The top latent is in units of it: its prior is N(0, 1)."""


class NVAENetwork(VAENetwork):
    """Scales of groups of latent maps, a residual cell tower up and one down; posteriors are offsets to their priors.

    Latents are maps, and a level's row is such a map laid flat. The first scale is the smallest; each next one is
    twice as wide and high, with half the channels. In the paper of VAEBM CIFAR-10 has `groups: [30], width: 128,
    flows: 1`, 64 pixels `groups: [5, 5, 5], width: 48, flows: 1`, 256 pixels `groups: [4, 4, 4, 4, 4], width: 32,
    flows: 2`.

    Args:
        size, channels: of the images; a scale, and each of `blocks`, halves the size.
        width: channels of the first layer, doubled wherever the size is halved.
        groups: number of levels of each scale, the smallest scale first.
        latent_dim: channels of a latent map.
        cells: for each level, in the encoder and in the decoder.
        blocks: halvings before the largest scale.
        block_cells: cells of each of those.
        flows: pairs of volume-preserving autoregressive flows behind each posterior.
        scaled: also give the scale of every pixel; grey levels need it.
        mixture: give a mixture of so many logistics for each pixel instead, 10 in the authors' code; 0 for none.

    Raises:
        RecipeError: a size that cannot be halved so often, or a scale beside a mixture.
    """

    rows = 256

    def __init__(
        self,
        size: Size = 32,
        channels: Channels = 3,
        width: Annotated[Width, Field(ge=2)] = 32,
        groups: Groups = (2, 2),
        latent_dim: LatentDim = 20,
        cells: Annotated[int, Field(ge=1, le=8)] = 2,
        blocks: Annotated[int, Field(ge=0, le=4)] = 1,
        block_cells: Annotated[int, Field(ge=1, le=8)] = 2,
        flows: Annotated[int, Field(ge=0, le=8)] = 0,
        scaled: bool = False,
        mixture: Annotated[int, Field(ge=0, le=64)] = 0,
    ):
        if scaled and mixture:
            raise RecipeError("mixture: its components have scales of their own; leave scaled out")
        super().__init__()
        self.mixture = mixture
        self.sample_shape, self.scaled = (channels, *height_width(size)), scaled
        halvings = [blocks + len(groups) - 1 - scale for scale, n in enumerate(groups) for _ in range(n)]
        if any(side % 2 ** halvings[0] for side in self.sample_shape[1:]):
            raise RecipeError(
                f"size: {len(groups)} scales and blocks: {blocks} halve images {halvings[0]} times, so that height and "
                f"width must be multiples of {2 ** halvings[0]}, got {list(self.sample_shape[1:])}"
            )
        self.maps = [(latent_dim, *(side >> n for side in self.sample_shape[1:])) for n in halvings]
        self.latent_dims = tuple(math.prod(shape) for shape in self.maps)
        widths = [width << n for n in halvings]
        self.stem = nn.Sequential(WeightNormConv2d(channels, width, 3), *_stem_cells(width, blocks, block_cells))
        self.encoder = nn.ModuleList(_encoder_groups(widths, cells))
        self.top = TopGroup(widths[0], self.maps[0])
        self.groups = nn.ModuleList(Group(above, own, latent_dim, cells) for above, own in pairwise(widths))
        units = [TOP_DEVIATION, *(1.0 for _ in self.groups)]
        behind_each = [nn.Sequential(*(flow_pair(latent_dim, unit) for _ in range(flows))) for unit in units]
        self.flows = nn.ModuleList(behind_each if flows else [])
        self.ends = nn.Sequential(*_end_cells(width, blocks, block_cells))
        maps = LogisticMixture.maps(channels, mixture) if mixture else channels * (1 + scaled)
        self.pixels = nn.Sequential(nn.ELU(), WeightNormConv2d(width, maps, 3))

    def posterior(self, x: Tensor) -> Gaussian:
        return self.bottom_up(x)[0]

    def bottom_up(self, x: Tensor) -> Seen:
        """q(z_1 | x) before its flows, then the feature maps of each level below."""
        h, features = self.stem(2 * x - 1), []
        for cells in self.encoder:
            h = cells(h)
            features.append(h)
        *below, top = features
        return self.top.posterior(top), *reversed(below)

    def levels(self, seen: Seen | None = None) -> Levels:
        q = self._flowed(0, seen[0]) if seen else None
        h = self.top(self._map(0, (yield Level(None, q))))
        for i, group in enumerate(self.groups, start=1):
            assert isinstance(group, Group)
            h = group.cells(h)
            raw = group.prior(h)
            q = self._flowed(i, soft_gaussian(raw + group.offset(h, seen[i]))) if seen else None
            z = yield Level(soft_gaussian(raw), q)
            h = group.combine(torch.cat([h, self._map(i, z)], 1))
        return h

    def _flowed(self, level: int, q: Gaussian) -> Gaussian | Flowed:
        return Flowed(q, self.flows[level], self.maps[level]) if len(self.flows) else q

    def _map(self, level: int, z: Tensor) -> Tensor:
        return z.unflatten(1, self.maps[level])

    def decode(self, h: Any, x: Tensor | None = None) -> Pixels:
        raw = self.pixels(self.ends(h))
        if self.mixture:
            return Pixels.of_mixture(LogisticMixture.of(full(raw), self.sample_shape[0], self.mixture))
        if not self.scaled:
            return Pixels.of_logits(raw)
        mean, log_scale = map(soft_clamp, raw.chunk(2, 1))  # of pixels in [-1, 1]
        return Pixels(mean / 2 + 0.5, log_scale - math.log(2))


class TopGroup(nn.Module):
    """The level that has no other above it: z_1 (B, C, H, W) -> feature maps (B, width, H, W)."""

    def __init__(self, width: int, shape: tuple[int, ...]):
        super().__init__()
        latents, *sides = shape
        self.start = nn.Parameter(torch.rand(width, *sides))
        to_posterior = WeightNormConv2d(width, width, 1), nn.ELU(), WeightNormConv2d(width, 2 * latents, 3)
        self.raw = nn.Sequential(nn.ELU(), *to_posterior)
        self.combine = WeightNormConv2d(width + latents, width, 1)

    def posterior(self, h: Tensor) -> Gaussian:
        """q(z_1 | x), in units of the prior's deviation."""
        q = soft_gaussian(self.raw(h))
        return Gaussian(q.mean / TOP_DEVIATION, q.log_variance - 2 * math.log(TOP_DEVIATION))

    def forward(self, z: Tensor) -> Tensor:
        start = self.start.expand(z.shape[0], -1, -1, -1)
        return self.combine(torch.cat([start, TOP_DEVIATION * z], 1))  # type: ignore[no-any-return]


class Group(nn.Module):
    """A level below the top: its decoder cells, prior and posterior, and how its z joins the feature maps."""

    def __init__(self, above: int, width: int, latents: int, cells: int):
        super().__init__()
        larger = [doubling_cell(above, TOWER)] if above != width else []
        self.cells = nn.Sequential(*larger, *(decoder_cell(width, TOWER) for _ in range(cells)))
        self.prior = nn.Sequential(nn.ELU(), WeightNormConv2d(width, 2 * latents, 1))
        self.beside = WeightNormConv2d(width, width, 1)
        self.posterior = WeightNormConv2d(width, 2 * latents, 3)
        self.combine = WeightNormConv2d(width + latents, width, 1)

    def offset(self, h: Tensor, seen: Tensor) -> Tensor:
        """Offset of the posterior to the prior, from the decoder's and the encoder's feature maps."""
        return self.posterior(seen + self.beside(h))  # type: ignore[no-any-return]


def soft_gaussian(raw: Tensor) -> Gaussian:
    """(B, 2 C, H, W) -> Gaussian over C H W dimensions: soft(mean) and exp(soft(s)) + 0.01 as standard deviation."""
    mean, log_deviation = map(soft_clamp, raw.flatten(1).chunk(2, 1))
    return Gaussian(mean, 2 * (log_deviation.exp() + 0.01).log())


def _encoder_groups(widths: list[int], cells: int) -> list[nn.Sequential]:
    """Cells of the encoder, from the largest scale, the lowest level, up."""
    rising = widths[::-1]
    found = []
    for below, width in pairwise([rising[0], *rising]):
        smaller = [halving_cell(below)] if below != width else []
        found.append(nn.Sequential(*smaller, *(encoder_cell(width) for _ in range(cells))))
    return found


def _stem_cells(width: int, blocks: int, cells: int) -> list[nn.Module]:
    widths = [width << i for i in range(blocks)]
    return [cell for w in widths for cell in (*(encoder_cell(w) for _ in range(cells - 1)), halving_cell(w))]


def _end_cells(width: int, blocks: int, cells: int) -> list[nn.Module]:
    widths = [width << i for i in reversed(range(blocks))]
    later = [[decoder_cell(w, ENDS) for _ in range(cells - 1)] for w in widths]
    return [cell for w, same in zip(widths, later, strict=True) for cell in (doubling_cell(2 * w, ENDS), *same)]
