"""Checkpoints of GAN-Control (Shoshan et al. 2021, arXiv:2101.02477): github.com/amazon-science/gan-control.

The generator is --part g_ema, its settings are the args.json of a run. The critic has the layout
stylegan2/rosinality_critic, --part d.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from genkit.core.errors import WeightsError
from genkit.core.randomness import Noise
from genkit.foreign.authors_settings import Settings, check_settings, networks_of
from genkit.foreign.state_dict import TensorNames, layer_names, load_named, own_part
from genkit.gan.authors.stylegan2 import (
    MEAN_OF,
    agree,
    bare,
    count_of,
    synthesis_names,
    their_convs,
    weight_of,
    without_filters,
)
from genkit.gan.stylegan2.generator import StyleGAN2Generator
from genkit.gan.stylegan2.mapping import LR_MULTIPLIER, LrMultiplier

EXAMPLES: dict[str, dict[str, Any]] = {
    "generator": {"sub_groups_dict": {"id": {"place_in_latent": [0, 128]}, "other": {"place_in_latent": [128, 512]}}}
}
"""Layout -> settings of a checkpoint."""


class SubGroup(Settings):
    """place_in_latent: where the slice begins and ends."""

    place_in_latent: Annotated[list[int], Field(min_length=2, max_length=2)]


class ControlSettings(Settings):
    """Settings of `model_config` and `training_config`; what a vanilla generator or a merged mapping has is refused."""

    sub_groups_dict: Annotated[dict[str, SubGroup], Field(min_length=1)]
    lr_mlp: LrMultiplier = LR_MULTIPLIER
    vanilla: Literal[False] = False
    split_fc: Literal[True] = True
    marge_fc: Literal[False] = False
    conv_transpose: Literal[True] = True
    g_noise_mode: Literal["normal"] = "normal"

    def split(self) -> dict[str, int]:
        """Name -> width, in the order of the latent."""
        places = {name: tuple(group.place_in_latent) for name, group in self.sub_groups_dict.items()}
        ordered = sorted(places.items(), key=lambda item: item[1])
        ends = [0, *(end for _, (_, end) in ordered)]
        for (name, (start, _)), (before, end) in zip(ordered, pairwise(ends), strict=True):
            if start != before or end <= start:
                raise WeightsError(
                    f"config.sub_groups_dict.{name}: begins at {start} and ends at {end}; slices lie one behind the "
                    f"other, this one from {before} on"
                )
        return {name: end - start for name, (start, end) in ordered}


def generator(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> StyleGAN2Generator:
    """Their Generator with `split_fc`, which gives a pair; this one gives images, and has slices by name."""
    parts = [config[name] for name in ("model_config", "training_config") if isinstance(config.get(name), Mapping)]
    told = {**config, **{key: value for part in parts for key, value in part.items()}}
    settings = check_settings(ControlSettings, told)
    state = {k: bare(k, v) for k, v in without_filters(own_part(state, "generator")).items()}
    sides, split = count_of(state, r"to_rgbs\.(\d+)\.bias"), settings.split()
    network = _network(state, sides, split, settings.lr_mlp)
    depth, total = network.config["depth"], sum(split.values())
    agree(told, size=network.sample_shape[1], latent_size=total, style_dim=total, n_mlp=depth)
    names: TensorNames = {"w_avg": ("w_avg",), **synthesis_names(sides)}
    for k, name in enumerate(split):
        for i in range(depth):
            names |= layer_names(f"mapping.parts.{k}.{i}", f"style.{name}.{i + 1}")
    load_named(network, {**state, "w_avg": network.w_avg}, names)
    network.measure(Noise(MEAN_OF, torch.Generator().manual_seed(0)))
    return network


@networks_of("the checkpoint does not fit the layout: ")
def _network(state: Mapping[str, Tensor], sides: int, split: dict[str, int], multiplier: float) -> StyleGAN2Generator:
    """A generator of the sizes of the tensors."""
    first = next(iter(split))
    weights = [weight_of(state, f"{layer}.conv.weight") for layer in their_convs(sides)]
    return StyleGAN2Generator(
        latent_dim=sum(split.values()),
        size=4 << sides,
        channels=len(weight_of(state, "to_rgb1.bias")),
        widths=[len(weight) for weight in weights[::2]],
        style_dim=sum(split.values()),
        depth=count_of(state, rf"style\.{re.escape(first)}\.(\d+)\.weight"),
        mixing=0,
        split=split,
        mid=len(weight_of(state, f"style.{first}.1.weight")),
        lr_multiplier=multiplier,
    )
