"""The ratio-clipping authors' networks, against outputs of their implementation."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from genkit import foreign
from genkit.core.errors import WeightsError
from genkit.gan.authors import ppogan
from tests.shared import shared

CLOSE = {"rtol": 0.0, "atol": 1e-5}
LAYOUTS = {"ppogan/generator": "netG", "ppogan/critic": "netD", "ppogan/classifier": "D"}


@pytest.fixture(scope="module")
def config():
    return json.loads(shared("fixtures", "ratio_clipping", "networks", "config.json").read_text())


@pytest.fixture(scope="module")
def weights():
    return load_file(shared("fixtures", "ratio_clipping", "networks", "weights.safetensors"))


@pytest.fixture(scope="module")
def io():
    return load_file(shared("fixtures", "ratio_clipping", "networks", "io.safetensors"))


def part(weights, layout):
    prefix = f"{LAYOUTS[layout]}."
    return {k.removeprefix(prefix): v.clone() for k, v in weights.items() if k.startswith(prefix)}


def test_generator(weights, io, config):
    network = foreign.load("ppogan/generator", part(weights, "ppogan/generator"), config)
    assert not network.training
    torch.testing.assert_close(network(io["z"]), io["netG.eval"], **CLOSE)
    network.train()
    torch.testing.assert_close(network(io["z"]), io["netG.train"], **CLOSE)
    torch.testing.assert_close(network.norm.running_mean, io["netG.running_mean_after"], **CLOSE)
    assert network.norm.num_batches_tracked == weights["netG.model.3.num_batches_tracked"] + 1


def test_critic(weights, io, config):
    network = foreign.load("ppogan/critic", part(weights, "ppogan/critic"), config)
    score, features = network(io["x"])
    torch.testing.assert_close(score, io["netD.score"], **CLOSE)
    torch.testing.assert_close(features, io["netD.feature"], **CLOSE)
    torch.testing.assert_close(network.network(io["x"]), score.squeeze(1))


def test_critic_with_the_authors_dropout(weights, io, config):
    rates = {"d1": 0.2, "d2": 0.5, "d3": 0.5}
    network = foreign.load("ppogan/critic", part(weights, "ppogan/critic"), config | rates)
    assert [dropout.rate for dropout in network.network.dropouts] == [0.0, 0.2, 0.5, 0.5]
    assert not torch.equal(network(io["x"])[0], network(io["x"])[0])


def test_classifier(weights, io, config):
    network = foreign.load("ppogan/classifier", part(weights, "ppogan/classifier"), config)
    torch.testing.assert_close(network(io["x"]), io["D.eval"], **CLOSE)
    torch.testing.assert_close(network.network(io["x"]).sigmoid(), io["D.eval"].squeeze(1), **CLOSE)
    torch.testing.assert_close(network.train()(io["x"]), io["D.train"], **CLOSE)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bundles_wrappers_and_half_precision(layout, weights, config):
    expected = foreign.load(layout, part(weights, layout), config).state_dict()
    wrapped = {f"module.{name}": tensor for name, tensor in part(weights, layout).items()}
    both = {f"module.{LAYOUTS[layout]}.{name}": tensor for name, tensor in part(weights, layout).items()}
    for state in (weights, wrapped, both):
        loaded = foreign.load(layout, state, config).state_dict()
        assert all(torch.equal(loaded[name], tensor) for name, tensor in expected.items())
    half = {k: v.half() if v.is_floating_point() else v for k, v in part(weights, layout).items()}
    for name, tensor in foreign.load(layout, half, config).state_dict().items():
        assert tensor.dtype == expected[name].dtype
        torch.testing.assert_close(tensor, expected[name], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_names_cover_the_network_and_the_checkpoint(layout, weights, config):
    """Every tensor of the checkpoint is needed and checked."""
    state = part(weights, layout)
    for name in state:
        without = {k: v for k, v in state.items() if k != name}
        with pytest.raises(WeightsError, match=f"missing: {name}"):
            foreign.load(layout, without, config)
        with pytest.raises(WeightsError, match=f"of another shape: {name}"):
            foreign.load(layout, state | {name: torch.zeros(2, 7)}, config)
    with pytest.raises(WeightsError, match="unexpected: more"):
        foreign.load(layout, state | {"more": torch.zeros(1)}, config)


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("ppogan/generator", "model.1.conv2.weight"),
        ("ppogan/generator", "model.5.bias"),
        ("ppogan/critic", "r2.bypass.0.weight"),
        ("ppogan/critic", "r4.model.5.weight"),
        ("ppogan/classifier", "model.0.bypass_conv.weight"),
    ],
)
def test_doubles_must_agree_and_numbers_be_finite(layout, name, weights, config):
    state = part(weights, layout)
    with pytest.raises(WeightsError, match=f"unequal.*{name}"):
        foreign.load(layout, state | {name: state[name] + 1e-3}, config)
    with pytest.raises(WeightsError, match=f"not finite: .*{name}"):
        foreign.load(layout, state | {name: state[name] * float("nan")}, config)
    with pytest.raises(WeightsError, match=f"of another kind: .*{name} torch.int32 instead of torch.float32"):
        foreign.load(layout, state | {name: state[name].int()}, config)


@pytest.mark.parametrize(
    ("layout", "change", "message"),
    [
        ("ppogan/generator", {"nz": None}, "config.nz"),
        ("ppogan/generator", {"nz": True}, "config.nz"),
        ("ppogan/generator", {"G_SIZE": 10**12}, "config.G_SIZE"),
        ("ppogan/generator", {"ImageSize": 64}, "config.ImageSize"),
        ("ppogan/generator", {"nz": 11}, "of another shape: dense.weight"),
        ("ppogan/critic", {"D_SCALE": 0.01}, "1 to 2048, got 0"),
        ("ppogan/critic", {"d1": 1.0}, "config.d1"),
        ("ppogan/classifier", {"G_SIZE": 9}, "of another shape"),
    ],
)
def test_settings_that_do_not_fit(layout, change, message, weights, config):
    with pytest.raises(WeightsError, match=message) as refusal:
        foreign.load(layout, weights, config | change)
    assert "\n" not in str(refusal.value)


def test_settings_that_are_missing(weights):
    with pytest.raises(WeightsError, match="missing key 'nz'; this layout needs nz, G_SIZE"):
        foreign.load("ppogan/generator", weights, {})


def test_the_published_widths():
    assert ppogan.PPOGANCriticSettings(G_SIZE=256, D_SCALE=1.3).width == 332
