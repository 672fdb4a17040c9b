"""OpenAI's diffusion networks, against outputs of their implementation and against one written from the formulas."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from genkit import foreign
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
    from genkit.foreign.unet_tensors import encoder_pairs, tensor_names, unet_pairs

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


@pytest.mark.parametrize("layout", ["guided-diffusion/unet", "improved-diffusion/unet"])
@pytest.mark.parametrize("name", ["unet", "unet_plain"])
def test_unet_fixtures(name, layout):
    network, config, io = loaded(name, layout)
    assert not network.training and sum(p.numel() for p in network.parameters()) == config["n_params"]
    x = io["x"].requires_grad_()
    out = network(x, io["timesteps"], io.get("y"))
    torch.testing.assert_close(out, io["out"], **CLOSE)
    torch.testing.assert_close(network(x, io["timesteps_fractional"], io.get("y")), io["out_fractional"], **CLOSE)
    (out * io["cotangent"]).sum().backward()
    torch.testing.assert_close(x.grad, io["grad_x"], rtol=1e-4, atol=5e-5)
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
