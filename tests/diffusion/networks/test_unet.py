from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from genkit.core import catalog
from genkit.core.errors import ConditionError, RecipeError
from genkit.core.pretrained import Pretrained
from genkit.diffusion.networks.quick_blocks import QuickResidual
from genkit.diffusion.networks.unet import SuperResolutionUNet, UNet
from genkit.diffusion.networks.unet2d import from_patches, to_patches
from genkit.diffusion.networks.unet_plan import UNetPlan

TINY = {"size": 16, "channels": 3, "width": 16, "multipliers": [1, 2], "blocks": 1, "attention": [8], "head_width": 8}
VARIANTS = {
    "adm": {},
    "with classes and variance": {"classes": 4, "unlabelled": True, "variance": True},
    "iddpm": {"resample": "conv", "heads": 4, "dropout": 0.3},
    "ddpm": {"resample": "conv", "scale_shift": False, "heads": 1, "blocks": 2},
    "pooled": {"resample": "pool", "heads": 2, "decoder_heads": 4},
    "patched": {"patch": 2, "attention": [4], "variance": True},
    "grey, wide sinusoid": {"channels": 1, "multipliers": [0.5, 1, 2], "attention": [16, 4]},
}


def unet(**arguments: object) -> UNet:
    return catalog.build({"type": "unet", **TINY, **arguments}, kind="networks")


def moved(network: nn.Module) -> nn.Module:
    """`network` away from its initial zeros, so that all of it counts."""
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return network.eval()


def inputs(network: UNet, n: int = 3) -> tuple[Tensor, Tensor, Tensor | None]:
    y = torch.arange(n) % network.classes if network.classes else None
    return torch.randn(n, *network.sample_shape), torch.tensor([0.0, 41.5, 999.0])[:n], y


@pytest.mark.parametrize("name", VARIANTS)
def test_a_new_network_answers_zero_and_a_saved_one_answers_the_same(name, tmp_path):
    network = unet(**VARIANTS[name])
    x, t, y = inputs(network)
    fresh = network(x, t, y)
    channels = network.sample_shape[0]
    assert network.outputs == (2 * channels if VARIANTS[name].get("variance") else channels)
    assert fresh.shape == (3, network.outputs, 16, 16) and fresh.abs().max() == 0
    expected = moved(network)(x, t, y)
    again = Pretrained.from_pretrained(network.save_pretrained(tmp_path))
    torch.testing.assert_close(again(x, t, y), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_parameter_every_image_and_every_step_counts(name):
    network = moved(unet(**VARIANTS[name]))
    x, t, y = inputs(network)
    whole = network(x, t, y)
    (whole**2).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    torch.testing.assert_close(network(x[1:2], t[1:2], None if y is None else y[1:2]), whole[1:2], rtol=1e-4, atol=1e-4)
    assert (network(x[:1], t[:1] + 0.5, None if y is None else y[:1]) - whole[:1]).abs().max() > 1e-4


def test_whole_and_fractional_steps_are_the_same_numbers():
    network = moved(unet())
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(network(x, torch.tensor([3, 900])), network(x, torch.tensor([3.0, 900.0])))


def test_only_the_last_layer_of_every_branch_starts_at_zero():
    from diffusers.models.attention_processor import Attention

    network = unet(blocks=2)
    parts = list(network.unet.modules())
    last = [part.conv2 for part in parts if isinstance(part, QuickResidual)]
    last += [part.to_out[0] for part in parts if isinstance(part, Attention)] + [network.unet.conv_out]
    zero = {id(p) for p in network.parameters() if p.dim() > 1 and not p.any()}
    assert len(last) == 14 + 6 + 1 and zero == {id(layer.weight) for layer in last}


def test_labels_matter_and_the_last_one_is_none():
    network = moved(unet(classes=3, unlabelled=True))
    x, t = torch.randn(1, 3, 16, 16).expand(4, -1, -1, -1), torch.full((4,), 5.0)
    answers = network(x, t, torch.arange(4))
    assert min((answers[i] - answers[j]).abs().max() for i in range(4) for j in range(i)) > 1e-4
    with pytest.raises(IndexError):
        moved(unet(classes=3))(x, t, torch.arange(4))


def test_labels_where_there_are_none_and_none_where_there_are_some_are_refused():
    x, t, y = torch.randn(1, 3, 16, 16), torch.zeros(1), torch.zeros(1, dtype=torch.int64)
    with pytest.raises(ConditionError, match="needs labels"):
        unet(classes=3)(x, t)
    with pytest.raises(ConditionError, match="unconditional"):
        unet()(x, t, y)


def test_patches_are_a_permutation():
    x = torch.randn(2, 3, 8, 12)
    patches = to_patches(x, 2)
    assert patches.shape == (2, 12, 4, 6)
    torch.testing.assert_close(patches[0, :4, 1, 2], x[0, 0, 2:4, 4:6].flatten(), rtol=0, atol=0)
    torch.testing.assert_close(from_patches(patches, 2), x, rtol=0, atol=0)


def test_the_prediction_comes_before_the_variance_with_patches_too():
    network = unet(**VARIANTS["patched"])
    network.unet.conv_out.bias.data[:12] = 1.0
    out = network(torch.randn(2, 3, 16, 16), torch.zeros(2))
    assert out[:, :3].eq(1).all() and out[:, 3:].eq(0).all()


def test_dropout_acts_in_training_alone():
    network = moved(unet(dropout=0.5))
    x, t, _ = inputs(network)
    assert torch.equal(network(x, t), network(x, t))
    network.train()
    assert not torch.equal(network(x, t), network(x, t))


def test_the_small_image_matters_and_is_needed():
    network = moved(SuperResolutionUNet(4, UNetPlan(**TINY, classes=2)))
    x, t, y = torch.randn(2, 3, 16, 16), torch.zeros(2), torch.tensor([0, 1])
    first, second = (network(x, t, y, low_res=torch.randn(2, 3, 4, 4)) for _ in range(2))
    assert first.shape == x.shape and (first - second).abs().max() > 1e-4
    with pytest.raises(ConditionError, match=r"low_res, small images \(B, 3, 4, 4\), which .* type upsampler"):
        network(x, t, y)
    with pytest.raises(RecipeError, match="low_size: must be below size, 16; got 16"):
        SuperResolutionUNet(16, UNetPlan(**TINY))


def test_an_upsampler_takes_the_keys_of_a_unet():
    spec = {"type": "super_resolution_unet", "low_size": 4, **TINY, "patch": 2, "attention": [4], "groups": 2}
    network = moved(catalog.build(spec, kind="networks"))
    x, low_res = torch.randn(2, 3, 16, 16), torch.randn(2, 3, 4, 4)
    answer = network(x, torch.zeros(2), low_res=low_res)
    assert answer.shape == x.shape and network.unet.conv_in.in_channels == 24
    assert (network(x, torch.zeros(2), low_res=low_res.roll(1, 3)) - answer).abs().max() > 1e-4
    assert network.config == catalog.build(network.config).config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"size": 18, "multipliers": [1, 2, 2], "attention": []},
            "multipliers: 3 levels .* side 18 .* no multiple of 4",
        ),
        ({"patch": 3}, "patch: 3 does not divide a size of 16"),
        ({"attention": [7]}, "attention: there is no map of side 7; accepted: 16, 8"),
        ({"patch": 2, "attention": [16]}, "attention: there is no map of side 16; accepted: 8, 4"),
        ({"head_width": 24}, "head_width: 24 does not divide 32 channels"),
        ({"heads": 3}, "heads: 3 does not divide 32 channels"),
        ({"decoder_heads": 5}, "decoder_heads: 5 does not divide 32 channels"),
        ({"width": 20}, "width: 20 times multiplier 1 must be a multiple of 8"),
        ({"multipliers": [1, 1.3]}, "width: 16 times multiplier 1.3 must be a multiple of 8"),
        ({"multipliers": []}, "multipliers: at least one level"),
        ({"multipliers": [1, 0]}, "multipliers"),
        ({"classes": 1}, "classes: 0"),
        ({"unlabelled": True}, "unlabelled: only a network with classes"),
        ({"blocks": 0}, "blocks"),
        ({"head_width": 0}, "head_width"),
        ({"resample": "fir"}, "resample"),
        ({"dropout": 1.0}, "dropout"),
        ({"size": 2048}, "size"),
    ],
    ids=str,
)
def test_what_cannot_be_built_is_refused_in_one_line(change, message):
    with pytest.raises(RecipeError, match=message) as refusal:
        unet(**change)
    assert "\n" not in str(refusal.value)
