"""The robust-OT authors' networks, against outputs of their implementation."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from genkit import foreign
from genkit.core.errors import WeightsError
from tests.shared import shared

CLOSE = {"rtol": 0.0, "atol": 1e-5}
NETWORKS = {
    "dcgan.netG": "dcgan_generator",
    "dcgan.netD": "dcgan_critic",
    "dcgan.netW": "dcgan_weights",
    "sndcgan.netD": "sndcgan_critic",
    "resnet.netG": "resnet_generator",
    "resnet_conv.netG": "resnet_generator",
    "resnet.netD": "resnet_critic",
    "resnet.netW": "resnet_weights",
}


@pytest.fixture(scope="module")
def fixture() -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
    folder = shared("fixtures", "robust_ot", "networks")
    config = json.loads((folder / "config.json").read_text())
    return load_file(folder / "weights.safetensors"), load_file(folder / "io.safetensors"), config


def part(weights: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {k.removeprefix(f"{name}."): v.clone() for k, v in weights.items() if k.startswith(f"{name}.")}


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_the_authors(fixture: Any, name: str) -> None:
    weights, io, config = fixture
    network = foreign.load(f"robust-ot/{NETWORKS[name]}", part(weights, name), config)
    given = io["z"] if name.endswith("netG") else io["x"]
    torch.testing.assert_close(network(given), io[f"{name}.eval"], **CLOSE)
    if f"{name}.train" in io:
        torch.testing.assert_close(network.train()(given), io[f"{name}.train"], **CLOSE)


def test_the_resnet_block_counts_a_batch_twice(fixture: Any) -> None:
    weights, io, config = fixture
    network = foreign.load("robust-ot/resnet_generator", part(weights, "resnet.netG"), config).train()
    before = int(network.blocks[0].norm1.num_batches_tracked)
    network(io["z"])
    assert network.blocks[0].norm1.num_batches_tracked == before + 2
    assert network.norm.num_batches_tracked == weights["resnet.netG.network.3.batch_norm.num_batches_tracked"] + 1


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_is_needed_and_checked(fixture: Any, name: str) -> None:
    weights, _, config = fixture
    state, layout = part(weights, name), f"robust-ot/{NETWORKS[name]}"
    last = [k for k in state if k.endswith(("weight", "weight_orig"))][-1]
    with pytest.raises(WeightsError, match=r"of another shape"):
        foreign.load(layout, state | {last: torch.zeros(2, 7)}, config)
    with pytest.raises(WeightsError, match=r"missing"):
        foreign.load(layout, {k: v for k, v in state.items() if k != last}, config)
    with pytest.raises(WeightsError, match=r"unexpected: projection"):
        foreign.load(layout, state | {"projection.weight": torch.zeros(1)}, config)
    with pytest.raises(WeightsError, match="missing key"):
        foreign.load(layout, state, {})
