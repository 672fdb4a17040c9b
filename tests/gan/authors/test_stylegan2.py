"""Checkpoints of StyleGAN2's two code bases; what rosinality's compute is in tests/gan/stylegan2/test_fixture."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from genkit import foreign
from genkit.cli.main import main
from genkit.core.errors import GenkitError, WeightsError
from genkit.core.generator import Generator
from genkit.gan.stylegan2.critic import StyleGAN2Critic
from genkit.gan.stylegan2.generator import StyleGAN2Generator
from tests.gan.stylegan2.fixture import CLOSE, Fixture, read


@pytest.fixture(scope="module")
def recorded() -> Fixture:
    return read()


FILTER = torch.outer(taps := torch.tensor([1.0, 3, 3, 1]), taps) / 64


def as_ada(weights: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    """rosinality's tensors by ADA's names and shapes, which differ in nothing else."""
    state = {k.removeprefix(f"{part}."): v for k, v in weights.items() if k.startswith(f"{part}.")}
    return _ada_generator(state) if part == "generator" else _ada_critic(state)


def _ada_generator(state: dict[str, Tensor]) -> dict[str, Tensor]:
    made = {"synthesis.b4.const": state["input.input"][0], "mapping.w_avg": torch.arange(32.0)}
    for i in range(4):
        made |= {f"mapping.fc{i}.{t}": state[f"style.{i + 1}.{t}"] for t in ("weight", "bias")}
    for i, layer in enumerate(["conv1", *(f"convs.{i}" for i in range(6))]):
        side = 4 << ((i + 1) // 2)
        ours = f"synthesis.b{side}.conv{1 - i % 2}"
        made |= _ada_layer(ours, state, layer, f"{layer}.activate.bias")
        made[f"{ours}.noise_strength"] = state[f"{layer}.noise.weight"].reshape(())
        made[f"{ours}.noise_const"] = state[f"noises.noise_{i}"][0, 0]
        made[f"{ours}.resample_filter"] = FILTER
    for k, layer in enumerate(["to_rgb1", "to_rgbs.0", "to_rgbs.1", "to_rgbs.2"]):
        made |= _ada_layer(f"synthesis.b{4 << k}.torgb", state, layer, f"{layer}.bias")
    return made


def _ada_layer(ours: str, state: dict[str, Tensor], layer: str, bias: str) -> dict[str, Tensor]:
    made = {f"{ours}.affine.{t}": state[f"{layer}.conv.modulation.{t}"] for t in ("weight", "bias")}
    return made | {f"{ours}.weight": state[f"{layer}.conv.weight"][0], f"{ours}.bias": state[bias].flatten()}


def _ada_critic(state: dict[str, Tensor]) -> dict[str, Tensor]:
    made = {"b32.fromrgb.weight": state["convs.0.0.weight"], "b32.fromrgb.bias": state["convs.0.1.bias"]}
    for i in range(3):
        for ours, weight, bias in (("conv0", "conv1.0", "conv1.1"), ("conv1", "conv2.1", "conv2.2")):
            made[f"b{32 >> i}.{ours}.weight"] = state[f"convs.{i + 1}.{weight}.weight"]
            made[f"b{32 >> i}.{ours}.bias"] = state[f"convs.{i + 1}.{bias}.bias"]
        made[f"b{32 >> i}.skip.weight"] = state[f"convs.{i + 1}.skip.1.weight"]
        made[f"b{32 >> i}.skip.resample_filter"] = FILTER
    made |= {"b4.conv.weight": state["final_conv.0.weight"], "b4.conv.bias": state["final_conv.1.bias"]}
    for ours, theirs in (("fc", "final_linear.0"), ("out", "final_linear.1")):
        made |= {f"b4.{ours}.{t}": state[f"{theirs}.{t}"] for t in ("weight", "bias")}
    return made


def test_adas_names_of_the_recorded_networks(recorded: Fixture) -> None:
    generator = foreign.load("stylegan2/ada", as_ada(recorded.weights, "generator"), {})
    image = generator({"z": recorded.io["in.z"], "noise": recorded.noise()})
    torch.testing.assert_close(image, recorded.io["out.gen.img_z"], **CLOSE)
    assert generator.w_avg.equal(torch.arange(32.0))
    critic = foreign.load("stylegan2/ada_critic", as_ada(recorded.weights, "discriminator"), {})
    torch.testing.assert_close(critic(recorded.io["in.real"]), recorded.io["out.disc.logits_real"], **CLOSE)


@pytest.mark.parametrize(
    ("layout", "config", "of_mapping"),
    [
        ("stylegan2/ada", {"mapping_kwargs": {"lr_multiplier": 0.1}}, "mapping.fc"),
        ("stylegan2/rosinality", {"lr_mlp": 0.1}, "generator.style."),
    ],
)
def test_the_rate_of_the_mapping_is_a_setting(layout: str, config: dict[str, Any], of_mapping: str) -> None:
    """Stored weights are scaled by it: ten times the rate with a tenth of the weights is the same network."""
    fixture = read()
    weights = as_ada(fixture.weights, "generator") if layout == "stylegan2/ada" else fixture.weights
    tenth = {k: v / 10 if k.startswith(of_mapping) else v for k, v in weights.items()}
    generator = foreign.load(layout, tenth, config)
    image = generator({"z": fixture.io["in.z"], "noise": fixture.noise()})
    torch.testing.assert_close(image, fixture.io["out.gen.img_z"], **CLOSE)
    assert generator.config["lr_multiplier"] == 0.1


def test_the_group_of_the_minibatch_deviation_is_a_setting(recorded: Fixture) -> None:
    state, x = as_ada(recorded.weights, "discriminator"), torch.rand(8, 3, 32, 32) * 2 - 1
    usual = foreign.load("stylegan2/ada_critic", state, {}).network
    wide = foreign.load("stylegan2/ada_critic", state, {"epilogue_kwargs": {"mbstd_group_size": 8}}).network
    assert (usual.deviation.size, wide.deviation.size) == (4, 8)
    assert not torch.allclose(usual(x), wide(x))
    usual.deviation.size = 8
    torch.testing.assert_close(usual(x), wide(x))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"epilogue_kwargs": {"mbstd_group_size": 0}}, r"config\.epilogue_kwargs\.mbstd_group_size"),
        ({"epilogue_kwargs": 4}, r"config\.epilogue_kwargs: needs a mapping"),
        ({"mapping_kwargs": {"lr_multiplier": 0}}, r"config\.mapping_kwargs\.lr_multiplier"),
        ({"conv_clamp": 0.5}, r"config\.conv_clamp: maps are not clamped here"),
    ],
)
def test_settings_that_cannot_be_met(recorded: Fixture, config: dict[str, Any], said: str) -> None:
    state = as_ada(recorded.weights, "discriminator")
    foreign.load("stylegan2/ada_critic", state, {"conv_clamp": 256})
    with pytest.raises(GenkitError, match=said):
        foreign.load("stylegan2/ada_critic", state, config)


def test_the_mean_of_w_is_measured_where_rosinality_keeps_none(recorded: Fixture) -> None:
    mean = recorded.generator.mapping(torch.randn(20_000, 32, generator=torch.Generator().manual_seed(9))).mean(0)
    assert (recorded.generator.w_avg - mean).abs().max() < 0.1 * mean.abs().max()


def test_labels_of_ada(recorded: Fixture) -> None:
    generator = as_ada(recorded.weights, "generator")
    first = torch.cat([generator["mapping.fc0.weight"], torch.ones(32, 32)], 1)
    generator |= {"mapping.embed.weight": torch.randn(32, 3), "mapping.embed.bias": torch.zeros(32)}
    network = foreign.load("stylegan2/ada", {**generator, "mapping.fc0.weight": first}, {})
    assert isinstance(network, StyleGAN2Generator) and network.classes == 3 and network.latent_dim == 32
    critic = StyleGAN2Critic(8, 3, widths=[6, 4], classes=3, depth=2, skips=False)
    theirs = {"b8": "blocks.0", "b8.fromrgb": "fromrgb", "b4.conv": "conv", "b4.fc": "dense", "b4.out": "head"}
    state = {}
    for name, tensor in critic.state_dict().items():
        parts = {**{v: k for k, v in theirs.items()}, "mapping.embedding": "mapping.embed"}
        parts |= {f"mapping.layers.{i}": f"mapping.fc{i}" for i in range(2)}
        ours = next(part for part in sorted(parts, key=len, reverse=True) if name.startswith(f"{part}."))
        state[parts[ours] + name.removeprefix(ours)] = tensor
    loaded = foreign.load("stylegan2/ada_critic", state, {})
    x, y = torch.randn(4, 3, 8, 8), {"label": torch.tensor([0, 1, 2, 0])}
    assert loaded.network(x, y).equal(critic(x, y))


def test_another_filter_is_refused(recorded: Fixture) -> None:
    weights = {**recorded.weights, "generator.convs.0.conv.blur.kernel": torch.eye(4)}
    with pytest.raises(WeightsError, match=r"another filter than \[1, 3, 3, 1\] \(convs\.0\.conv\.blur\.kernel\)"):
        foreign.load("stylegan2/rosinality", weights, {})


@pytest.mark.parametrize("layout", ["rosinality", "rosinality_critic", "ada", "ada_critic"])
def test_what_is_no_such_checkpoint_is_refused_in_one_line(layout: str, recorded: Fixture) -> None:
    other = recorded.weights if "ada" in layout else as_ada(recorded.weights, "generator")
    for state in ({}, {"a": torch.zeros(1)}, other):
        with pytest.raises(WeightsError, match=r"does not fit the layout: missing: \S+$"):
            foreign.load(f"stylegan2/{layout}", state, {})


def test_the_command_line_takes_their_training_checkpoint_without_settings(recorded: Fixture, tmp_path: Path) -> None:
    """With the Namespace of their arguments beside the tensors."""
    of = {part: {k.partition(".")[2]: v for k, v in recorded.weights.items() if k.startswith(part)} for part in "gd"}
    torch.save({"g": of["g"], "d": of["d"], "g_ema": of["g"], "args": argparse.Namespace(size=32)}, tmp_path / "x.pt")
    arguments = ["import", "stylegan2/rosinality", str(tmp_path / "x.pt"), "--out", str(tmp_path / "out")]
    assert main(arguments) == 2, "of three networks one must be named"
    assert main([*arguments, "--part", "g_ema"]) == 0
    made = Generator.from_pretrained(tmp_path / "out")
    torch.testing.assert_close(made(recorded.io["in.z"]), recorded.io["out.gen.img_z_buffer_noise"], **CLOSE)


class Source:
    """As NVIDIA's pickles: unpickling calls a function."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("run",)


def test_a_pickle_that_carries_source_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, data in (("net.pkl", pickle.dumps({"G_ema": Source()})), ("net.pt", None)):
        path = tmp_path / name
        path.write_bytes(data) if data else torch.save({"G_ema": Source()}, path)
        with pytest.raises(WeightsError, match=r"state_dict\(\)") as refusal:
            foreign.import_checkpoint("stylegan2/ada", path, None, tmp_path / "out")
        assert "\n" not in str(refusal.value) and "run" not in capsys.readouterr().out
