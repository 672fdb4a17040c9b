"""Recorded numbers of rosinality/stylegan2-pytorch for one small network, and the same network here."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from safetensors.torch import load_file
from torch import Tensor

from genkit import foreign
from genkit.gan.stylegan2.critic import StyleGAN2Critic
from genkit.gan.stylegan2.generator import StyleGAN2Generator
from tests.shared import shared

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
"""Tolerances that the fixture calls fair in float32."""


class Fixture(NamedTuple):
    config: dict[str, Any]
    weights: dict[str, Tensor]
    io: dict[str, Tensor]
    generator: StyleGAN2Generator
    critic: StyleGAN2Critic

    def noise(self) -> list[Tensor]:
        return [self.io[f"in.noise.{i}"] for i in range(self.config["num_layers"])]


def read() -> Fixture:
    folder = shared("fixtures", "stylegan2")
    weights = load_file(folder / "weights.safetensors")
    return Fixture(
        json.loads((folder / "config.json").read_text()),
        weights,
        load_file(folder / "io.safetensors"),
        foreign.load("stylegan2/rosinality", weights, {}),  # type: ignore[arg-type]
        foreign.load("stylegan2/rosinality_critic", weights, {}).network,  # type: ignore[arg-type]
    )


def gradients(fixture: Fixture, part: str, norms: Tensor) -> dict[str, Tensor]:
    """Norms of gradients by the authors' name of the parameter."""
    return dict(zip(fixture.config[f"{part}_param_order"], norms, strict=True))
