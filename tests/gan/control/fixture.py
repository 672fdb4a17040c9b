"""What amazon-science/gan-control computes for one small network, and the same network here."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from safetensors.torch import load_file
from torch import Tensor

from genkit import foreign
from genkit.foreign.state_dict import layer_names, load_named
from genkit.gan.authors.stylegan2 import _bare, _convs, _styled, _without_filters
from genkit.gan.authors.transgan import TensorNames
from genkit.gan.stylegan2.critic import StyleGAN2Critic
from genkit.gan.stylegan2.generator import StyleGAN2Generator
from tests.shared import shared

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
"""As for the fixture of StyleGAN2; their float32 is within 2e-6 of their float64."""


class Fixture(NamedTuple):
    config: dict[str, Any]
    weights: dict[str, Tensor]
    io: dict[str, Tensor]
    generator: StyleGAN2Generator
    critic: StyleGAN2Critic

    def latents(self, z: Tensor) -> dict[str, Any]:
        return {"z": z, "noise": [self.io[f"in.noise.{i}"] for i in range(self.config["num_layers"])]}


def split_of(groups: dict[str, Any]) -> dict[str, int]:
    """Name -> width, in the order of the latent."""
    places = {name: group["place_in_latent"] for name, group in groups.items()}
    return {name: end - start for name, (start, end) in sorted(places.items(), key=lambda item: item[1])}


def rows_of(groups: dict[str, Any]) -> dict[str, int]:
    places = {name: group["place_in_mini_batch"] for name, group in groups.items()}
    return {name: end - start for name, (start, end) in places.items()}


def names_of(config: dict[str, Any], ours: bool = True) -> TensorNames:
    """Our names of their generator's tensors."""
    sides = len(config["channels"]) - 1
    names: TensorNames = {"synthesis.const": ("input.input",)}
    for k, group in enumerate(config["group_order"]):
        for i in range(config["n_mlp"]):
            names |= layer_names(f"mapping.parts.{k}.{i}", f"style.{group}.{i + 1}")
    theirs = ["conv1", *(f"convs.{i}" for i in range(2 * sides))]
    for i, (mine, layer) in enumerate(zip(_convs(sides), theirs, strict=True)):
        names |= _styled(mine, f"{layer}.conv", "modulation", f"{layer}.activate.bias")
        names |= {f"{mine}.noise_strength": (f"{layer}.noise.weight",), f"{mine}.noise": (f"noises.noise_{i}",)}
    for k in range(sides + 1):
        layer = f"to_rgbs.{k - 1}" if k else "to_rgb1"
        names |= _styled(f"synthesis.blocks.b{4 << k}.torgb", f"{layer}.conv", "modulation", f"{layer}.bias")
    return names


def read() -> Fixture:
    folder = shared("fixtures", "gan_control")
    weights = load_file(folder / "weights.safetensors")
    config = json.loads((folder / "config.json").read_text())
    split = split_of(config["sub_groups_dict"])
    network = StyleGAN2Generator(
        latent_dim=48,
        size=config["size"],
        widths=list(config["channels"].values()),
        style_dim=config["style_dim"],
        depth=config["n_mlp"],
        mixing=0,
        split=split,
        mid=config["mapping_mid_dim"],
    )
    own = {k.removeprefix("generator."): v for k, v in weights.items() if k.startswith("generator.")}
    state = {k: _bare(k, v) for k, v in _without_filters(own).items()}
    load_named(network, {**state, "w_avg": network.w_avg}, {**names_of(config), "w_avg": ("w_avg",)})
    critic = {k: v for k, v in weights.items() if k.startswith("discriminator.")}
    return Fixture(
        config,
        weights,
        load_file(folder / "io.safetensors"),
        network,
        foreign.load("stylegan2/rosinality_critic", critic, {}).network,  # type: ignore[arg-type]
    )
