"""Recorded numbers of a port of the released StylEx networks, and the same networks here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from genkit.foreign.state_dict import TensorNames, layer_names, load_named
from genkit.gan.authors.stylegan2 import body_names, generator_names
from genkit.gan.styleex.styleex import StyleEx
from genkit.gan.stylegan2.critic import StyleGAN2Critic
from genkit.gan.stylegan2.encoder import StyleGAN2Encoder
from genkit.gan.stylegan2.generator import StyleGAN2Generator
from tests.shared import shared

CLOSE = {"rtol": 1e-4, "atol": 2e-5}
"""Fair in float32: the numbers were computed in float64."""


class Toy(nn.Module):
    """The recorded classifier: a convolution, leaky ReLU, the mean over pixels, a linear layer."""

    def __init__(self, state: Mapping[str, Tensor], size: int):
        super().__init__()
        width, channels = state["conv.weight"].shape[:2]
        self.conv = nn.Conv2d(channels, width, 3, stride=2, padding=1)
        self.fc = nn.Linear(width, len(state["fc.bias"]))
        self.load_state_dict(state)
        self.sample_shape, self.classes, self.class_names = (channels, size, size), len(state["fc.bias"]), ()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.leaky_relu(self.conv(x), 0.2).mean((2, 3)))


class Fixture(NamedTuple):
    config: dict[str, Any]
    io: dict[str, Tensor]
    generator: StyleEx
    critic: StyleGAN2Critic

    @property
    def p(self) -> dict[str, Tensor]:
        return {"probabilities": self.io["out.cls.prob_real"]}


def part(weights: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    own = {k.removeprefix(f"{name}."): v for k, v in weights.items() if k.startswith(f"{name}.")}
    return {k: v for k, v in own.items() if not k.endswith("resample_filter")}


def read() -> Fixture:
    folder = shared("fixtures", "stylex")
    config, weights = json.loads((folder / "config.json").read_text()), load_file(folder / "weights.safetensors")
    size, sides = config["size"], config["size"].bit_length() - 3
    widths = [min(config["channel_base"] // (4 << k), config["channel_max"]) for k in range(sides + 1)]
    plan: dict[str, Any] = {"size": size, "widths": widths}
    network = StyleGAN2Generator(
        config["z_dim"], style_dim=config["z_dim"], depth=config["n_mlp"], appended=config["n_classes"], **plan
    )
    encoder = StyleGAN2Encoder(style_dim=config["z_dim"], **plan)
    critic = StyleGAN2Critic(group=config["n_images"], outputs=config["n_classes"], **plan)
    load_named(network, part(weights, "generator"), generator_names(sides, config["n_mlp"]))
    ends: TensorNames = layer_names("dense", "b4.fc") | layer_names("head", "b4.out")
    load_named(encoder, part(weights, "encoder"), body_names(sides) | ends)
    load_named(critic, part(weights, "discriminator"), body_names(sides) | ends)
    toy = Toy(part(weights, "classifier"), size)
    return Fixture(config, load_file(folder / "io.safetensors"), StyleEx(network, encoder, toy).eval(), critic.eval())


def concatenated(styles: Mapping[str, Tensor], torgb: bool) -> Tensor:
    return torch.cat([v for k, v in styles.items() if k.endswith("torgb") == torgb], 1)
