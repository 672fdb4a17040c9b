"""What amazon-science/gan-control computes for one small network, and the same network here."""

from __future__ import annotations

import json
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from genkit import foreign
from genkit.foreign.state_dict import TensorNames, layer_names
from genkit.gan.authors.stylegan2 import synthesis_names
from genkit.gan.stylegan2.generator import StyleGAN2Generator
from tests.gan.stylegan2.fixture import CLOSE as CLOSE
from tests.gan.stylegan2.fixture import Fixture
from tests.shared import shared


class ControlFixture(Fixture):
    def latents(self, z: Tensor) -> dict[str, Any]:
        return {"z": z, "noise": self.noise()}


def split_of(groups: dict[str, Any]) -> dict[str, int]:
    """Name -> width, in the order of the latent."""
    places = {name: group["place_in_latent"] for name, group in groups.items()}
    return {name: end - start for name, (start, end) in sorted(places.items(), key=lambda item: item[1])}


def rows_of(groups: dict[str, Any]) -> dict[str, int]:
    places = {name: group["place_in_mini_batch"] for name, group in groups.items()}
    return {name: end - start for name, (start, end) in places.items()}


def names_of(config: dict[str, Any]) -> TensorNames:
    """Our names of their generator's tensors."""
    names = synthesis_names(len(config["channels"]) - 1)
    for k, group in enumerate(config["group_order"]):
        for i in range(config["n_mlp"]):
            names |= layer_names(f"mapping.parts.{k}.{i}", f"style.{group}.{i + 1}")
    return names


def read() -> ControlFixture:
    folder = shared("fixtures", "gan_control")
    weights = load_file(folder / "weights.safetensors")
    config = json.loads((folder / "config.json").read_text())
    own = {k: v for k, v in weights.items() if k.startswith("generator.")}
    network: StyleGAN2Generator = foreign.load("gan_control/generator", own, config)  # type: ignore[assignment]
    critic = {k: v for k, v in weights.items() if k.startswith("discriminator.")}
    return ControlFixture(
        config,
        weights,
        load_file(folder / "io.safetensors"),
        network,
        foreign.load("stylegan2/rosinality_critic", critic, {}).network,  # type: ignore[arg-type]
    )
