"""The TransGAN authors' networks of both code generations, against outputs of their implementation."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from genkit import foreign
from genkit.core.errors import WeightsError
from genkit.foreign.importing import import_checkpoint
from genkit.gan.gan import GAN, GANTraining
from genkit.gan.gradient_penalty import GradientPenalty
from genkit.gan.score_drift import ScoreDrift
from tests.shared import shared

CLOSE = {"rtol": 0.0, "atol": 1e-4}
LAYOUTS = {
    "transgan/v1_generator": ("v1_TransGAN_8_8_1", "G"),
    "transgan/v1_critic": ("v1_TransGAN_8_8_1", "D"),
    "transgan/neurips_generator": ("neurips_rp", "G"),
    "transgan/neurips_critic": ("neurips_rp", "D"),
}
Case = tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]


def read(name: str) -> Case:
    folder = shared("fixtures", "transgan", name)
    config = json.loads((folder / "config.json").read_text())
    return config, load_file(folder / "weights.safetensors"), load_file(folder / "io.safetensors")


@pytest.fixture(scope="module")
def v1() -> Case:
    return read("v1_TransGAN_8_8_1")


@pytest.fixture(scope="module")
def neurips() -> Case:
    return read("neurips_rp")


def test_v1_generator_under_every_mask(v1: Case) -> None:
    config, weights, io = v1
    network = foreign.load("transgan/v1_generator", weights, config)
    outs = []
    for epoch, halfwidth in config["mask_halfwidth_by_epoch"].items():
        network.locality = halfwidth
        outs.append(network(io["z"]))
        torch.testing.assert_close(outs[-1], io[f"G.out.epoch{epoch}"], **CLOSE)
    assert all((a - b).abs().max() > 1e-3 for a, b in pairwise(outs))


@pytest.mark.parametrize("name", ["v1_TransGAN_8_8_1", "neurips_rp"])
def test_critics_and_the_gradient_through_the_pair(name: str) -> None:
    config, weights, io = read(name)
    generation = "v1" if name.startswith("v1") else "neurips"
    suffix = ".epoch60" if generation == "v1" else ""
    generator = foreign.load(f"transgan/{generation}_generator", weights, config)
    critic = foreign.load(f"transgan/{generation}_critic", weights, config)
    tokens = generator.stage_tokens(generator.stem(io["z"]).view(len(io["z"]), -1, config["gf_dim"]))
    for i, x in enumerate(tokens):
        torch.testing.assert_close(x, io[f"G.stage.{i}{suffix}"], **CLOSE)
    torch.testing.assert_close(generator(io["z"]), io[f"G.out{suffix}"], **CLOSE)
    real = io["real"].clone().requires_grad_(True)
    logits = critic(real)
    torch.testing.assert_close(logits, io["D.real.out"], **CLOSE)
    (gradient,) = torch.autograd.grad(logits.sum(), real)
    torch.testing.assert_close(gradient, io["D.real.dinput"], rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(critic.network.features(real), io["D.real.cls_feature"], **CLOSE)
    z = io["z"].clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(-critic(generator(z)).mean(), z)
    torch.testing.assert_close(gradient, io[f"grad.z.neg_mean_D{suffix}"], rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("generation", ["v1", "neurips"])
def test_losses_and_all_critic_gradients(generation: str) -> None:
    config, weights, io = read("v1_TransGAN_8_8_1" if generation == "v1" else "neurips_rp")
    generator = foreign.load(f"transgan/{generation}_generator", weights, config)
    critic = foreign.load(f"transgan/{generation}_critic", weights, config)
    game = GANTraining(GAN(generator), critic.network, penalties=[GradientPenalty(10), ScoreDrift(1e-3)])
    terms = game.critic_loss(io["real"], {}, io["z"], io["loss.alpha"])
    torch.testing.assert_close(
        terms["gradient_penalty"] / 10, io["loss.gradient_penalty"].squeeze(), rtol=1e-4, atol=1e-5
    )
    total = sum(terms.values())
    torch.testing.assert_close(total, io["loss.d_loss"].squeeze(), rtol=1e-4, atol=1e-4)
    if generation == "v1":
        to_two = GANTraining(GAN(generator), critic.network, penalties=[GradientPenalty(10, target=2)])
        found = to_two.critic_loss(io["real"], {}, io["z"], io["loss.alpha"])["gradient_penalty"]
        torch.testing.assert_close(found, 10 / 2**2 * io["loss.gp_phi2"].squeeze(), rtol=1e-4, atol=1e-4)
    total.backward()
    named = {k.removeprefix("grad.D."): v for k, v in io.items() if k.startswith("grad.D.") and "total" not in k}
    theirs = weights | {f"D.{k}": v for k, v in named.items()}
    expected = foreign.load(f"transgan/{generation}_critic", theirs, config).network
    assert len(named) >= 40
    for (name, p), q in zip(critic.network.named_parameters(), expected.parameters(), strict=True):
        if not name.endswith("strength"):  # its gradient is a draw
            assert (p.grad - q).norm() <= 2e-3 * q.norm() + 1e-6, name


@pytest.mark.parametrize("unread", [{}, {"latent_norm": True, "g_mlp": 2}])
def test_neurips_generator_with_an_image_from_every_stage(unread: dict[str, Any]) -> None:
    config, weights, io = read("neurips_rgb_skip")
    network = foreign.load("transgan/neurips_generator", weights, config | unread)
    z = io["z"].clone().requires_grad_(True)
    x = network(z)
    torch.testing.assert_close(x, io["out"], **CLOSE)
    (gradient,) = torch.autograd.grad(x.square().sum(), z)
    torch.testing.assert_close(gradient, io["grad.z.sumsq"], rtol=2e-3, atol=1e-3)


def test_latent_norm_rescales_to_the_root_of_the_width(neurips: Case) -> None:
    config, weights, io = neurips
    plain = foreign.load("transgan/neurips_generator", weights, config)
    network = foreign.load("transgan/neurips_generator", weights, config | {"latent_norm": True})
    z = io["z"]
    rescaled = z * z.shape[1] ** 0.5 / z.norm(dim=1, keepdim=True)
    torch.testing.assert_close(network(z), plain(rescaled), **CLOSE)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_dead_and_derived_tensors_are_dropped_and_the_rest_is_needed(layout: str) -> None:
    name, part = LAYOUTS[layout]
    config, weights, _ = read(name)
    state = {k.removeprefix(f"{part}."): v for k, v in weights.items() if k.startswith(f"{part}.")}
    dead = {"to_rgb.0.weight": torch.ones(4), "blocks.0.attn.relative_position_index": torch.zeros(4, dtype=torch.long)}
    dead |= {"Hz_fbank": torch.ones(4, 12), "Hz_geom": torch.ones(12)}
    foreign.load(layout, {f"module.{k}": v for k, v in (state | dead).items()}, config)
    for key in list(state)[::4]:
        without = {k: v for k, v in state.items() if k != key}
        if "noise" not in key or part == "D":
            with pytest.raises(WeightsError, match=r"missing|of another shape"):
                foreign.load(layout, without, config)
    with pytest.raises(WeightsError, match="unexpected: more"):
        foreign.load(layout, state | {"more": torch.zeros(1)}, config)


@pytest.mark.parametrize(
    ("layout", "change", "message"),
    [
        ("transgan/v1_generator", {"bottom_width": 9}, "of another shape: pos_embed_1"),
        ("transgan/v1_generator", {"gf_dim": 2048}, "of another shape: pos_embed_1"),
        ("transgan/v1_generator", {"gf_dim": None}, "config.gf_dim"),
        ("transgan/v1_critic", {"patch_size": 3}, "patches of 3 pixels do not fill 32"),
        ("transgan/v1_critic", {"img_size": 64}, "of another shape: pos_embed"),
        ("transgan/v1_critic", {"num_heads": 5}, "5 do not divide"),
        ("transgan/neurips_generator", {"g_norm": "gn"}, "config.g_norm"),
        ("transgan/neurips_critic", {"d_act": "swish"}, "config.d_act"),
    ],
)
def test_settings_that_do_not_fit(layout: str, change: dict[str, Any], message: str) -> None:
    config, weights, _ = read(LAYOUTS[layout][0])
    with pytest.raises(WeightsError, match=message) as refusal:
        foreign.load(layout, weights, config | change)
    assert "\n" not in str(refusal.value)


def test_a_generator_that_adds_noise_is_refused(neurips: Case) -> None:
    config, weights, _ = neurips
    loud = weights | {"G.blocks.block.0.attn.noise_strength_1": torch.tensor(0.5)}
    with pytest.raises(WeightsError, match="adds noise to its tokens"):
        foreign.load("transgan/neurips_generator", loud, config)
    silent = weights | {"G.blocks.block.0.attn.noise_strength_1": torch.tensor(0.0)}
    foreign.load("transgan/neurips_generator", silent, config)


def large_names(config: dict[str, Any]) -> dict[str, Tensor]:
    """A checkpoint of ViT_custom_local544444_256_rp with one block a stage, 16 pixels and random weights."""
    torch.manual_seed(0)
    widths, sides, windows = (64, 64, 64, 16, 4, 4), (1, 2, 4, 8), (1, 2, 4, config["g_window_size"])
    state = {"l1.weight": torch.randn(64, 5), "l1.bias": torch.randn(64)}
    state |= {"deconv.0.weight": torch.randn(3, 16, 1, 1), "deconv.0.bias": torch.randn(3)}
    for i, (width, side, window) in enumerate(zip(widths, sides, windows, strict=False), start=1):
        block = f"blocks_{i}.block.0"
        state[f"pos_embed_{i}"] = torch.randn(1, side**2, width)
        shapes = {"attn.qkv.weight": (3 * width, width), "attn.proj.weight": (width, width), "attn.proj.bias": (width,)}
        shapes |= {"mlp.fc1.weight": (4 * width, width), "mlp.fc1.bias": (4 * width,)}
        shapes |= {"mlp.fc2.weight": (width, 4 * width), "mlp.fc2.bias": (width,)}
        shapes |= {"attn.relative_position_bias_table": ((2 * window - 1) ** 2, 4)}
        state |= {f"{block}.{name}": 0.1 * torch.randn(shape) for name, shape in shapes.items()}
    return state


def test_the_names_of_the_large_generator(tmp_path) -> None:
    config = {"bottom_width": 1, "gf_dim": 64, "latent_dim": 5, "g_norm": "pn", "g_window_size": 4}
    network = foreign.load("transgan/neurips_generator", large_names(config), config)
    assert network.sample_shape == (3, 8, 8) and network.bicubic == 2
    assert [stage.window for stage in network.stages] == [1, 2, 4, 4]
    assert network(torch.randn(2, 5)).isfinite().all()


def test_import_gives_a_gan_that_samples_within_range(v1: Case, tmp_path) -> None:
    config, weights, io = v1
    save_file(weights, tmp_path / "theirs.safetensors")
    product = import_checkpoint("transgan/v1_generator", tmp_path / "theirs.safetensors", config, tmp_path / "out")
    assert isinstance(product, GAN) and io["G.out.epoch60"].abs().max() > 1
    again = GAN.from_pretrained(tmp_path / "out")
    x = again.sample(2, rng=torch.Generator().manual_seed(0))
    assert x.shape == (2, 3, 32, 32) and x.abs().max() <= 1
    torch.testing.assert_close(again(io["z"]), io["G.out.epoch60"], **CLOSE)
