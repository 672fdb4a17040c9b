"""Recordings of the VAEBM authors' code."""

from __future__ import annotations

import json
from functools import cache
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

from genkit import foreign
from genkit.vae.energy.energy_network import EnergyNetwork
from tests.shared import shared

NETWORKS = ("ebm_mnist", "ebm_cifar32", "ebm_celeba64", "ebm_lsun64", "ebm_celeba256")
TENSORS = {"weight": "v", "log_weight_norm": "log_norm"}


class Recorded(NamedTuple):
    """A folder: settings, the authors' tensors, and what went in and came out."""

    config: dict
    weights: dict[str, Tensor]
    io: dict[str, Tensor]

    def network(self) -> EnergyNetwork:
        config = self.config if "cls" in self.config else self.config["ebm"]
        return foreign.load("vaebm/energy", self.weights, config)

    def under(self, prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(f"{prefix}/"): v for k, v in self.io.items() if k.startswith(f"{prefix}/")}


@cache
def recorded(name: str) -> Recorded:
    folder = shared("fixtures", "vaebm", name)
    config = json.loads((folder / "config.json").read_text())
    return Recorded(config, load_file(folder / "weights.safetensors"), load_file(folder / "io.safetensors"))


def ours(name: str) -> str:
    """The authors' name of a tensor -> ours."""
    layer, _, tensor = name.rpartition(".")
    if layer == "linear":
        return f"head.{tensor}"
    layer = "stem" if layer == "conv1" else layer.replace("skip.0", "skip")
    return f"{layer}.{TENSORS.get(tensor, tensor)}"


def assert_energies(found: Tensor, expected: Tensor) -> None:
    """Within 1e-5 of the largest of the batch, plus 1e-4."""
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * expected.abs().max().item() + 1e-4)


def assert_gradient(found: Tensor, expected: Tensor, rtol: float = 1e-4) -> None:
    """Within a relative distance of 1e-4, as a whole and of its largest value."""
    assert (found - expected).norm() <= rtol * expected.norm() + 1e-6
    torch.testing.assert_close(found, expected, rtol=rtol, atol=rtol * expected.abs().max().item())
