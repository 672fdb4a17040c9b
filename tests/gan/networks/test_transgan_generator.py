"""TransGAN's networks: the published sizes, the mask, what they refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from genkit.core import catalog
from genkit.core.errors import RecipeError
from genkit.core.pretrained import Pretrained
from genkit.gan.gan import GAN
from genkit.gan.networks.token_block import (
    BlockStyle,
    TokenAttention,
    TokenBlock,
    TokenStage,
    band,
    relative_bias,
    shuffled_up,
    to_windows,
)
from genkit.gan.networks.transgan_critic import TransGANCritic, TwoScaleTransGANCritic
from genkit.gan.networks.transgan_generator import TransGANGenerator
from tests.shared import shared

SMALL = {"size": 8, "channels": 1, "width": 32, "depths": [1, 1], "heads": 2}
SIZES = {"S": (384, (5, 2, 2), 18.6), "M": (512, (5, 2, 2), 33.1), "L": (768, (5, 2, 2), 74.3)}
SIZES["XL"] = (1024, (5, 4, 2), 133.6)


def millions(network: torch.nn.Module) -> float:
    return sum(p.numel() for p in network.parameters()) / 1e6


@pytest.mark.parametrize("size", SIZES)
def test_published_sizes(size: str) -> None:
    width, depths, expected = SIZES[size]
    with torch.device("meta"):
        network = TransGANGenerator(width, width=width, depths=depths)
    assert millions(network) == pytest.approx(expected, abs=0.1) and network.sides == [8, 16, 32]


def test_published_critic_and_larger_generators() -> None:
    with torch.device("meta"):
        assert millions(TransGANCritic()) == pytest.approx(12.5, abs=0.1)
        stl = TransGANGenerator(768, size=48, width=768)
        faces = TransGANGenerator(1024, size=64, width=1024, depths=(5, 3, 3, 2))
        large = TransGANGenerator(
            512, 256, width=1024, depths=(5, 4, 4, 4, 4, 4), relative=True, windows=(0, 0, 0, 16, 16, 16), bicubic=2
        )
    assert stl.sides == [12, 24, 48] and faces.sides == [8, 16, 32, 64]
    assert [s.blocks[0].norm1.normalized_shape[0] for s in large.stages] == [1024, 1024, 1024, 256, 64, 16]
    assert [s.window for s in large.stages] == [8, 16, 32, 16, 16, 16] and large.grid == 256


def test_initialisation() -> None:
    torch.manual_seed(0)
    critic, generator = TransGANCritic(width=64, depth=2), TransGANGenerator(32, width=64, depths=(1, 1, 1))
    for tensor in (critic.positions, critic.blocks[0].widen.weight, generator.positions[0]):
        assert tensor.std().item() == pytest.approx(0.02, rel=0.15)
    assert not critic.blocks[0].widen.bias.any() and generator.stem.bias.any()
    bound = (6 / (3 + 4)) ** 0.5
    assert bound / 2 < generator.to_images[0].weight.abs().max() <= bound


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 30, "depths": [1, 1, 1]}, "3 stages make multiples of 4 pixels, got 30"),
        ({"width": 30}, "need a multiple of 4, got 30"),
        ({"heads": 3, "width": 32}, "3 do not divide a stage's width of 32"),
        ({"windows": [0, 3]}, "windows: 3 does not divide a stage of 8"),
        ({"windows": [0, 16]}, "windows: 16 does not divide a stage of 8"),
        ({"windows": [4]}, "one a stage, 2 in all"),
        ({"bicubic": 2}, "2 stages have 1 doublings, got 2"),
        ({"norm": "group"}, "norm"),
        ({"depths": [1, 0]}, "depths"),
    ],
)
def test_generators_that_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as refusal:
        catalog.build({"type": "transgan_generator", "latent_dim": 3, **SMALL, **arguments})
    assert "\n" not in str(refusal.value)


def test_critics_that_cannot_be() -> None:
    with pytest.raises(RecipeError, match="patches of 4 pixels do not fill 30"):
        TransGANCritic(size=30)
    with pytest.raises(RecipeError, match="patches of 8 pixels do not fill 36"):
        TwoScaleTransGANCritic(size=36, patch=4)
    with pytest.raises(RecipeError, match="multiple of 4; got 30"):
        TwoScaleTransGANCritic(width=30)


CHOICES: list[dict[str, Any]] = [
    {},
    {"relative": True, "windows": [0, 4], "norm": "pixel", "low_resolution": True},
    {"bicubic": 1, "normalised": True, "skips": True, "norm": "instance", "activation": "leaky_relu", "channels": 3},
]


@pytest.mark.parametrize("choice", CHOICES)
def test_generator_round_trip_and_every_tensor_counts(choice: dict[str, Any], tmp_path) -> None:
    network = catalog.build({"type": "transgan_generator", "latent_dim": 3, **SMALL, **choice})
    z = torch.randn(3, 3)
    x = network(z)
    assert x.shape == (3, *network.sample_shape)
    loss = x.square().sum()
    if network.low_size:
        loss = loss + network.from_low_res(torch.rand(2, 1, 4, 4)).square().sum()
    loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())
    again = Pretrained.from_pretrained(network.eval().save_pretrained(tmp_path))
    assert again(z).equal(network(z))


@pytest.mark.parametrize("kind", [TransGANCritic, TwoScaleTransGANCritic])
def test_critics_are_differentiable_twice_and_keep_samples_apart(kind: type) -> None:
    critic = kind(size=4, channels=1, patch=1, width=8, depth=1, heads=2).double()
    x = torch.randn(2, 1, 4, 4, dtype=torch.double, requires_grad=True)
    scores = critic(x)
    assert scores.shape == (2,) and torch.allclose(critic(x[1:2]), scores[1:2])
    along, step = torch.randn_like(x), 1e-5

    def slope(v: Tensor) -> Tensor:
        return torch.autograd.grad(critic(v).sum(), v, create_graph=True)[0]

    (curvature,) = torch.autograd.grad((slope(x) * along).sum(), x)
    difference = (slope((x + step * along).detach().requires_grad_(True)) - slope(x)) / step
    assert curvature.any()
    torch.testing.assert_close(curvature, difference, rtol=1e-2, atol=1e-3 * curvature.abs().max().item())


def test_windows_confine_the_finer_half_of_the_critic() -> None:
    critic = TwoScaleTransGANCritic(size=16, channels=1, patch=2, width=16, depth=1, heads=2, window=4)
    tokens = torch.randn(1, 64, 12)
    reached = torch.autograd.functional.jacobian(lambda v: critic.fine(v)[0, 0].sum(), tokens)[0].abs().sum(-1) > 0
    assert reached.view(8, 8)[:4, :4].all() and reached.sum() == 16
    with torch.device("meta"):
        large = TwoScaleTransGANCritic(size=256, patch=4, window=8)
    assert large.fine.window == 8 and large.coarse.window == 32
    with pytest.raises(RecipeError, match="windows: 3 does not divide a stage of 8 tokens"):
        TwoScaleTransGANCritic(size=16, patch=2, window=3)


def test_rows_outside_the_band_are_exactly_zero() -> None:
    """Attention's Jacobian: token i depends on j through values only within the band, and on nothing outside."""
    attention = TokenAttention(8, 2)
    x = torch.randn(1, 16, 8)
    full = torch.autograd.functional.jacobian(lambda v: attention(v, 3)[0].sum(-1), x)[:, 0].abs().sum(-1)
    assert (full > 0).equal(band(16, 3))
    assert not (torch.autograd.functional.jacobian(lambda v: attention(v)[0].sum(-1), x)[:, 0].abs().sum(-1) == 0).any()
    assert attention(x, 15).allclose(attention(x), atol=1e-6)


def test_only_the_last_block_of_the_last_stage_is_masked_and_the_mask_leaves_no_trace() -> None:
    network = TransGANGenerator(3, **{**SMALL, "depths": (1, 2)}).eval()
    z, reaches = torch.randn(2, 3), []
    for stage in network.stages:
        for block in stage.blocks:
            block.attention.register_forward_pre_hook(lambda module, inputs: reaches.append(inputs[1]))
    free = network(z)
    network.locality = 2
    masked = network(z)
    assert reaches == [None] * 3 + [None, None, 2]
    assert (masked - free).abs().max() > 1e-4 and "locality" not in network.config
    network.locality = None
    assert network(z).equal(free)


def test_samples_are_cut_and_training_images_are_not() -> None:
    generator = GAN(TransGANGenerator(3, **SMALL))
    with torch.no_grad():
        generator.network.to_images[0].bias.fill_(3.0)
    z = torch.randn(4, 3)
    assert generator(z).max() > 1 and generator.sample(4).max() == 1


def test_token_noise_has_a_learned_strength_that_starts_at_zero() -> None:
    attention, x = TokenAttention(8, 2, noise=True), torch.randn(2, 4, 8)
    assert attention(x).equal(attention(x))
    torch.nn.init.ones_(attention.strength)
    assert not attention.eval()(x).allclose(attention(x))


@pytest.fixture(scope="module")
def blocks() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    folder = shared("fixtures/transgan/neurips_block")
    return load_file(folder / "weights.safetensors"), load_file(folder / "io.safetensors")


RENAMED = {"attn.proj.": "attention.project.", "attn.qkv": "attention.qkv", "mlp.fc1": "widen", "mlp.fc2": "narrow"}
RENAMED |= {"attn.relative_position_bias_table": "attention.table", "norm1.norm": "norm1", "norm2.norm": "norm2"}
RENAMED |= {"attn.noise_strength_1": "attention.strength"}


def loaded(module: torch.nn.Module, weights: dict[str, Tensor], prefix: str) -> torch.nn.Module:
    state = {k.removeprefix(f"{prefix}."): v for k, v in weights.items() if k.startswith(f"{prefix}.")}
    for theirs, ours in RENAMED.items():
        state = {k.replace(theirs, ours).replace("block.", "blocks."): v for k, v in state.items()}
    module.load_state_dict(state)
    return module.eval()


@pytest.mark.parametrize(("theirs", "ours"), [("ln", "layer"), ("pn", "pixel"), ("bn", "batch"), ("in", "instance")])
def test_blocks_and_norms_are_the_authors(blocks, theirs: str, ours: Any) -> None:
    weights, io = blocks
    block = loaded(TokenBlock(16, BlockStyle(norm=ours, noise=True), 4), weights, f"block_{theirs}")
    x = io[f"block_{theirs}.x"].requires_grad_(True)
    y = block(x)
    torch.testing.assert_close(y, io[f"block_{theirs}.y"], rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad(y.square().sum(), x)
    torch.testing.assert_close(gradient, io[f"block_{theirs}.dx"], rtol=1e-4, atol=1e-4)


def test_block_without_norm_is_the_authors(blocks) -> None:
    weights, io = blocks
    style = BlockStyle(norm="none", activation="leaky_relu", noise=True, fused=False, gain=0.5**0.5)
    block = loaded(TokenBlock(16, style, 4), weights, "disblock_none")
    torch.testing.assert_close(block(io["disblock_none.x"]), io["disblock_none.y"], rtol=1e-4, atol=1e-5)


def test_grid_shuffle_and_relative_positions_are_the_authors(blocks) -> None:
    weights, io = blocks
    style = BlockStyle(norm="pixel", noise=True)
    stage = loaded(TokenStage(16, 2, 8, style, grid=4, relative=True), weights, "grid_stage")
    torch.testing.assert_close(stage(io["grid.x"]), io["grid.y"], rtol=1e-4, atol=1e-5)
    assert to_windows(io["grid.x"], 2).view(8, 4, 4, 16).equal(io["grid.partition"])
    assert shuffled_up(io["pixelshuffle.x"]).equal(io["pixelshuffle.y"])
    index = relative_bias(torch.arange(49.0).unsqueeze(1), 4)[0]
    assert index.long().equal(io["rel_index"])


def test_locality_mask_is_the_authors() -> None:
    folder = shared("fixtures/transgan/v1_locality_mask")
    config, io = json.loads((folder / "config.json").read_text()), load_file(folder / "io.safetensors")
    for n, w in config["pairs"]:
        assert band(n, w).equal(io[f"mask.N{n}.w{w}"].bool())
    for fused in (True, False):
        attention = TokenAttention(16, 4, fused=fused)
        state = load_file(folder / "weights.safetensors")
        attention.load_state_dict({k.replace("attn.proj", "project").replace("attn.", ""): v for k, v in state.items()})
        for epoch, w in config["mask_halfwidth_by_epoch"].items():
            x = io["attn.x"].clone().requires_grad_(True)
            y = attention(x, w)
            torch.testing.assert_close(y, io[f"attn.y.epoch{epoch}"], rtol=1e-5, atol=1e-5)
            (gradient,) = torch.autograd.grad(y.square().sum(), x)
            torch.testing.assert_close(gradient, io[f"attn.dx.epoch{epoch}"], rtol=1e-4, atol=1e-5)
