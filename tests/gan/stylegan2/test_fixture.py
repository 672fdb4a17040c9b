"""The networks against outputs of rosinality's: forwards, StyleSpace, every feature map."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from genkit.gan.stylegan2.critic import MinibatchDeviation
from genkit.gan.stylegan2.equalised import EqualisedLinear
from genkit.gan.stylegan2.modulated import StyledConv, ToRGB, demodulation, modulated
from tests.gan.stylegan2.fixture import CLOSE, Fixture, read


@pytest.fixture(scope="module")
def recorded() -> Fixture:
    return read()


def test_images_of_z_w_wplus_and_two_latents(recorded: Fixture) -> None:
    network, io, noise = recorded.generator, recorded.io, recorded.noise()
    torch.testing.assert_close(network.mapping(io["in.z"]), io["out.map.w"], **CLOSE)
    torch.testing.assert_close(network.to_w(io["in.z"]), io["out.gen.latents_z"], **CLOSE)
    torch.testing.assert_close(network({"z": io["in.z"], "noise": noise}), io["out.gen.img_z"], **CLOSE)
    torch.testing.assert_close(network(io["in.z"]), io["out.gen.img_z_buffer_noise"], **CLOSE)
    torch.testing.assert_close(network.synthesise(io["in.w"], noise), io["out.gen.img_w"], **CLOSE)
    torch.testing.assert_close(network.synthesise(io["in.wplus"], noise), io["out.gen.img_wplus"], **CLOSE)
    crossover = torch.full((len(io["in.z"]),), recorded.config["inject_index"])
    mixed = {"z": io["in.z"], "other": io["in.z2"], "crossover": crossover, "noise": noise}
    torch.testing.assert_close(network(mixed), io["out.gen.img_mix"], **CLOSE)


def theirs_of(layer: str) -> str:
    block, name = layer.split(".")
    side = int(block[1:])
    k = side.bit_length() - 4
    if name == "torgb":
        return "to_rgb1" if side == 4 else f"to_rgbs.{k}"
    return "conv1" if side == 4 else f"convs.{2 * k + (name == 'conv1')}"


def test_stylespace_and_every_map(recorded: Fixture) -> None:
    network, io = recorded.generator, recorded.io
    seen: dict[str, Tensor] = {}
    for name, layer in network.synthesis.named_modules():
        if isinstance(layer, StyledConv):
            layer.register_forward_hook(lambda m, given, y, name=name: seen.update({name.removeprefix("blocks."): y}))
    styles = network.styles(network.to_w(io["in.z"]))
    assert list(styles) == list(network.style_channels)
    for name, style in styles.items():
        assert style.shape[1] == network.style_channels[name]
        torch.testing.assert_close(style, io[f"out.gen.style.{theirs_of(name)}.conv.modulation"], **CLOSE)
    image = network.synthesise(styles, recorded.noise())
    torch.testing.assert_close(image, io["out.gen.img_z"], **CLOSE)
    assert len(seen) == recorded.config["num_layers"]
    for name, map_ in seen.items():
        torch.testing.assert_close(map_, io[f"out.gen.act.{theirs_of(name)}"], **CLOSE)


def test_logits_and_the_deviation_of_strided_groups(recorded: Fixture) -> None:
    critic, io = recorded.critic, recorded.io
    seen: list[Tensor] = []
    critic.deviation.register_forward_hook(lambda m, given, y: seen.append(y[:, -1:]))
    for x, what in ((io["in.real"], "real"), (io["in.real"][:2], "real_first2")):
        torch.testing.assert_close(critic(x), io[f"out.disc.logits_{what}"][:, 0], **CLOSE)
        torch.testing.assert_close(seen.pop(), io[f"out.disc.mbstd_{what}"], **CLOSE)
    torch.testing.assert_close(critic(io["out.gen.img_z"]), io["out.disc.logits_fake"][:, 0], **CLOSE)
    assert isinstance(critic.deviation, MinibatchDeviation)


def affine(io: dict[str, Tensor]) -> EqualisedLinear:
    layer = EqualisedLinear(6, 5, bias=1.0)
    layer.weight.data, layer.bias.data = io["op.modconv.mod_weight"], io["op.modconv.mod_bias"]
    return layer


@pytest.mark.parametrize("kind", ["plain", "up", "nodemod1x1"])
def test_modulated_convolutions(recorded: Fixture, kind: str) -> None:
    io = recorded.io
    weight, x = io[f"op.modconv.{kind}.weight"][0], io["op.modconv.x"]
    style = affine(io)(io["op.modconv.w"])
    if kind == "nodemod1x1":
        layer: nn.Module = ToRGB(5, 4, 6)
        layer.weight.data = weight
        made = layer(x, style)
    else:
        conv = StyledConv(5, 4, 6, 6, up=kind == "up")
        scale = demodulation(style, weight * conv.gain)[:, :, None, None]
        made = conv._convolved(modulated(x, style), weight * conv.gain) * scale
    torch.testing.assert_close(made, io[f"out.op.modconv.{kind}.y"], **CLOSE)
