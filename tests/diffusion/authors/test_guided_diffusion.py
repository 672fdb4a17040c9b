"""OpenAI's diffusion networks, against outputs of their implementation and against one written from the formulas."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from genkit import foreign
from genkit.core.errors import WeightsError
from genkit.core.pretrained import Pretrained
from tests.diffusion.authors import adm
from tests.shared import shared

CLOSE = {"rtol": 0.0, "atol": 5e-5}
LAYOUTS = {"unet": "guided-diffusion/unet", "unet_plain": "improved-diffusion/unet"}


def fixture(name: str) -> tuple[dict, dict[str, Tensor], dict[str, Tensor]]:
    folder = shared("fixtures", "ddpm", name)
    config = json.loads((folder / "config.json").read_text())
    return config, load_file(folder / "weights.safetensors"), load_file(folder / "io.safetensors")


def loaded(name: str, layout: str) -> tuple[nn.Module, dict, dict[str, Tensor]]:
    config, weights, io = fixture(name)
    return foreign.load(layout, weights, config["constructor"]), config, io


def fused_norms(network: nn.Module, config: dict) -> Tensor:
    """Gradient norms in the authors' order, our three attention matrices as the one of theirs."""
    from genkit.diffusion.authors.unet_tensors import encoder_pairs, tensor_names, unet_pairs

    is_unet = hasattr(network, "unet")
    pairs = unet_pairs(network.unet, "unet") if is_unet else encoder_pairs(network.encoder, "encoder")
    names = {theirs: mine for mine, (theirs,) in tensor_names(network, pairs).items()}
    if not is_unet:
        for theirs, mine in {"out.0": "norm.0", "out.2.qkv_proj": "qkv", "out.2.c_proj": "project"}.items():
            names |= {f"{theirs}.{tensor}": f"pool.{mine}.{tensor}" for tensor in ("weight", "bias")}
        names["out.2.positional_embedding"] = "pool.positions"
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}

    def norm(name: str) -> Tensor:
        layer, _, tensor = name.rpartition(".")
        parts = [f"{layer}.{part}.{tensor}" for part in "qkv"] if layer.endswith(".qkv") else [name]
        return torch.stack([gradients[names[part]].norm() for part in parts]).norm()

    return torch.stack([norm(name) for name in config["param_order"]])


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("unet", "guided-diffusion/unet"),
        ("unet_plain", "guided-diffusion/unet"),
        ("unet_plain", "improved-diffusion/unet"),
    ],
)
def test_unet_fixtures(name, layout):
    network, config, io = loaded(name, layout)
    assert not network.training and sum(p.numel() for p in network.parameters()) == config["n_params"]
    x = io["x"].requires_grad_()
    out = network(x, io["timesteps"], io.get("y"))
    torch.testing.assert_close(out, io["out"], **CLOSE)
    torch.testing.assert_close(network(x, io["timesteps_fractional"], io.get("y")), io["out_fractional"], **CLOSE)
    (out * io["cotangent"]).sum().backward()
    # Of numbers up to 12, in which the authors' float32 is 8e-5 off a float64 evaluation.
    torch.testing.assert_close(x.grad, io["grad_x"], rtol=1e-4, atol=2e-4)
    torch.testing.assert_close(fused_norms(network, config), io["grad_param_norms"], rtol=1e-4, atol=2e-3)


def test_classifier_fixture():
    network, config, io = loaded("classifier", "guided-diffusion/classifier")
    logits = network(io["x"], io["timesteps"])
    torch.testing.assert_close(logits, io["logits"], **CLOSE)
    torch.nn.functional.cross_entropy(logits, io["y"]).backward()
    torch.testing.assert_close(fused_norms(network, config), io["ce_grad_param_norms"], rtol=1e-4, atol=2e-3)


def test_guidance_gradient_of_a_frozen_classifier():
    network, _, io = loaded("classifier", "guided-diffusion/classifier")
    network.requires_grad_(False)
    x = io["x"].requires_grad_()
    log_prob = network(x, io["timesteps"]).log_softmax(1)[torch.arange(len(x)), io["y"]]
    torch.testing.assert_close(log_prob, io["log_prob_y"], **CLOSE)
    (gradient,) = torch.autograd.grad(log_prob.sum(), x)
    torch.testing.assert_close(gradient, io["grad_log_prob_y"], rtol=1e-4, atol=5e-5)


BASE = {"image_size": 16, "in_channels": 3, "model_channels": 32, "out_channels": 6, "num_res_blocks": 1}
BASE |= {"attention_resolutions": [2], "channel_mult": [1, 2]}
BIGGAN = {"resblock_updown": True, "use_scale_shift_norm": True}
UNETS = {
    "new order": {**BIGGAN, "num_head_channels": 16, "use_new_attention_order": True, "num_classes": 5},
    "legacy order": {**BIGGAN, "num_head_channels": 16, "num_classes": 5},
    "fixed heads": {"num_heads": 4, "channel_mult": [1, 1, 2], "attention_resolutions": (1, 4), **BIGGAN},
    "heads of the decoder": {"num_heads": 2, "num_heads_upsample": 8, "use_scale_shift_norm": True},
    "heads ignored": {"num_heads": 2, "num_heads_upsample": 8, "num_head_channels": 32, "num_res_blocks": 2},
    "one head, new order": {"use_new_attention_order": True, "out_channels": 3},
    "no convolutions": {"conv_resample": False, "num_heads": 2, "channel_mult": [2, 1, 3]},
    "wide sinusoid": {"model_channels": 64, "channel_mult": [0.5, 1, 2], "num_head_channels": 32, **BIGGAN},
    "added embedding": {"resblock_updown": True, "num_res_blocks": 3, "in_channels": 1, "out_channels": 1},
    "one level": {"channel_mult": [1], "attention_resolutions": {1, 16}, "num_heads": 4, "dropout": 0.5},
    "middle only": {"attention_resolutions": [], "channel_mult": [1, 2, 2], "num_heads": 8, "num_res_blocks": 2},
}
POOLS = {
    "attention": {"num_head_channels": 16, **BIGGAN},
    "attention, new order": {"num_head_channels": 32, "use_new_attention_order": True, **BIGGAN},
    "adaptive": {"num_heads": 4},
    "spatial": {"num_head_channels": 16, "channel_mult": [1, 1, 2], "num_res_blocks": 2, **BIGGAN},
    "spatial_v2": {"num_heads": 2, "conv_resample": False, "use_scale_shift_norm": True},
}
T = torch.tensor([3.0, 700.5])


def images(config: dict, *, size: int = 0) -> Tensor:
    return torch.randn(2, config["in_channels"], size or config["image_size"], size or config["image_size"])


@pytest.mark.parametrize("variant", UNETS)
def test_unet_equals_the_formulas(variant, tmp_path):
    config, weights = BASE | UNETS[variant], adm.Weights()
    x, y = images(config), torch.tensor([4, 1]) if "num_classes" in config else None
    expected = adm.unet(weights, config, x, T, y)
    network = foreign.load("guided-diffusion/unet", weights, config)
    assert expected.std() > 0.1
    torch.testing.assert_close(network(x, T, y), expected, **CLOSE)
    again = Pretrained.from_pretrained(network.save_pretrained(tmp_path))
    torch.testing.assert_close(again(x, T, y), expected, **CLOSE)


@pytest.mark.parametrize("variant", POOLS)
def test_classifier_equals_the_formulas(variant, tmp_path):
    config = BASE | {"out_channels": 7, "pool": variant.partition(",")[0]} | POOLS[variant]
    x, weights = images(config), adm.Weights()
    expected = adm.classifier(weights, config, x, T)
    network = foreign.load("guided-diffusion/classifier", weights, config)
    assert expected.std() > 0.1
    torch.testing.assert_close(network(x, T), expected, **CLOSE)
    again = Pretrained.from_pretrained(network.save_pretrained(tmp_path))
    torch.testing.assert_close(again(x, T), expected, **CLOSE)


def test_super_resolution_equals_the_formulas(tmp_path):
    config, weights = BASE | UNETS["fixed heads"] | {"small_size": 4, "num_classes": 3}, adm.Weights()
    given = {"low_res": images(config, size=4), "y": torch.tensor([2, 0])}
    x = images(config)
    expected = adm.super_resolution(weights, config, x, T, **given)
    network = foreign.load("guided-diffusion/super_resolution_unet", weights, config)
    torch.testing.assert_close(network(x, T, **given), expected, **CLOSE)
    again = Pretrained.from_pretrained(network.save_pretrained(tmp_path))
    torch.testing.assert_close(again(x, T, **given), expected, **CLOSE)


def test_the_orders_are_different_networks():
    config, weights = BASE | UNETS["legacy order"], adm.Weights()
    x, y = images(config), torch.tensor([0, 1])
    expected = adm.unet(weights, config, x, T, y)
    wrong = foreign.load("guided-diffusion/unet", weights, config | {"use_new_attention_order": True})
    assert (wrong(x, T, y) - expected).abs().max() > 0.05


def test_wrappers_and_notes_are_taken_off_and_the_older_code_names_no_size():
    config, weights = BASE | UNETS["heads of the decoder"], adm.Weights()
    x = images(config)
    expected = adm.unet(weights, config, x, T)
    del config["image_size"]
    wrapped = {f"module.{name}": value for name, value in weights.items()}
    network = foreign.load("improved-diffusion/unet", wrapped, {"cls": "UNetModel", "constructor": config})
    assert network.sample_shape == (3, 64, 64)
    torch.testing.assert_close(network(x, T), expected, **CLOSE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dims": 3}, "config.dims"),
        ({"model_channels": 48}, "multiple of 32"),
        ({"out_channels": 5}, "config.out_channels: 3 .* or 6 "),
        ({"num_head_channels": 24}, "head_width: 24 does not divide 64"),
        ({"num_heads": 3}, "heads: 3 does not divide 64"),
        ({"image_size": 15}, "no multiple of 2"),
        ({"attention_resolutions": "16,8"}, "config.attention_resolutions"),
        ({"channel_mult": []}, "config.channel_mult"),
        ({"channel_mult": [1, 1]}, "unexpected: input_blocks.3.0.skip_connection.bias"),
        ({"num_res_blocks": 2}, "missing"),
        ({"attention_resolutions": []}, "missing: output_blocks.1.1.conv.weight"),
        ({"attention_resolutions": [1, 2]}, "missing: input_blocks.1.1.norm.weight"),
        ({"num_classes": 5}, "missing: label_emb.weight"),
        ({"use_scale_shift_norm": True}, "of another shape: input_blocks.1.0.emb_layers.1.weight"),
        ({"resblock_updown": True}, "missing: input_blocks.2.0.in_layers.0.weight"),
        ({"conv_resample": False}, "unexpected: input_blocks.2.0.op.bias"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_said_in_one_line(change, message):
    config, weights = BASE, adm.Weights()
    adm.unet(weights, config, images(config), T)
    with pytest.raises(WeightsError, match=message) as refusal:
        foreign.load("guided-diffusion/unet", weights, config | change)
    assert "\n" not in str(refusal.value)


def test_damaged_attention_is_said_in_one_line():
    config, weights = BASE, adm.Weights()
    adm.unet(weights, config, images(config), T)
    for damaged in (torch.ones(5, 64, 1), torch.ones(())):
        with pytest.raises(WeightsError, match=r"middle_block.1.qkv.weight has the shape"):
            foreign.load("guided-diffusion/unet", {**weights, "middle_block.1.qkv.weight": damaged}, config)


def test_the_attention_pool_needs_a_head_width():
    with pytest.raises(WeightsError, match="num_head_channels"):
        foreign.load("guided-diffusion/classifier", {}, BASE | {"pool": "attention"})
