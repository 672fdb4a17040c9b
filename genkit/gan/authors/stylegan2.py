"""Checkpoints of StyleGAN2 (Karras et al. 2020, arXiv:1912.04958).

rosinality: github.com/rosinality/stylegan2-pytorch, --part g_ema, g or d. ada: github.com/NVlabs/stylegan2-ada-pytorch,
whose .pkl files carry source code and are refused: load one with the authors' code, and save the state dict of its
G_ema or D by safetensors or torch.save. Sizes are read off the tensors. Not in them, and read off the settings: the
learning-rate multiplier of the mapping (0.01 if not said) and the group of the minibatch deviation (4 if not said).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genkit.core.catalog import convert
from genkit.core.errors import WeightsError, shown
from genkit.core.randomness import Noise
from genkit.foreign.authors_settings import networks_of
from genkit.foreign.state_dict import TensorNames, layer_names, load_named, own_part
from genkit.gan.authors.transgan import Logits
from genkit.gan.stylegan2.critic import GroupSize, StyleGAN2Critic
from genkit.gan.stylegan2.fir import FIR
from genkit.gan.stylegan2.generator import StyleGAN2Generator
from genkit.gan.stylegan2.mapping import LR_MULTIPLIER, LrMultiplier

needs_config = False

CLAMP = 256
MEAN_OF = 4096
"""Samples of w that rosinality's code takes the mean of, for truncation."""


def rosinality(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> StyleGAN2Generator:
    """Their Generator, which takes a list of latents and gives a pair; this one takes latents z and gives images."""
    state = {k: bare(k, v) for k, v in without_filters(own_part(state, "generator")).items()}
    sides = count_of(state, r"to_rgbs\.(\d+)\.bias")
    multiplier = _setting(config, "lr_mlp", LrMultiplier, LR_MULTIPLIER)
    network = _generator(state, their_convs(sides), "style.{}.weight", 1, "to_rgb1.bias", multiplier)
    names: TensorNames = {"w_avg": ("w_avg",), **synthesis_names(sides)}
    for i in range(network.config["depth"]):
        names |= layer_names(f"mapping.layers.{i}", f"style.{i + 1}")
    load_named(network, {**state, "w_avg": network.w_avg}, names)
    expected = {"size": network.sample_shape[1], "style_dim": network.style_dim, "n_mlp": network.config["depth"]}
    agree(config, **expected)
    network.measure(Noise(MEAN_OF, torch.Generator().manual_seed(0)))
    return network


def their_convs(sides: int) -> list[str]:
    return ["conv1", *(f"convs.{i}" for i in range(2 * sides))]


def synthesis_names(sides: int) -> TensorNames:
    """Our names of the synthesis network of rosinality's code, and of those made from it, with `sides` doublings."""
    names: TensorNames = {"synthesis.const": ("input.input",)}
    for i, (ours, theirs) in enumerate(zip(_convs(sides), their_convs(sides), strict=True)):
        names |= _styled(ours, f"{theirs}.conv", "modulation", f"{theirs}.activate.bias")
        names |= {f"{ours}.noise_strength": (f"{theirs}.noise.weight",), f"{ours}.noise": (f"noises.noise_{i}",)}
    for k in range(sides + 1):
        theirs = f"to_rgbs.{k - 1}" if k else "to_rgb1"
        names |= _styled(f"synthesis.blocks.b{4 << k}.torgb", f"{theirs}.conv", "modulation", f"{theirs}.bias")
    return names


def rosinality_critic(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> Logits:
    """Their Discriminator: images (B, C, size, size) -> logits (B, 1)."""
    state = without_filters(own_part(state, "discriminator"))
    blocks = count_of(state, r"convs\.(\d+)\.conv1\.0\.weight")
    outputs = ["convs.0.0", *(f"convs.{i + 1}.conv2.1" for i in range(blocks))]
    network = _critic(state, outputs)
    names: TensorNames = _pair("fromrgb", "convs.0.0.weight", "convs.0.1.bias")
    for i in range(blocks):
        ours, theirs = f"blocks.{i}", f"convs.{i + 1}"
        names |= _pair(f"{ours}.conv0", f"{theirs}.conv1.0.weight", f"{theirs}.conv1.1.bias")
        names |= _pair(f"{ours}.conv1", f"{theirs}.conv2.1.weight", f"{theirs}.conv2.2.bias")
        names[f"{ours}.skip.weight"] = (f"{theirs}.skip.1.weight",)
    names |= _pair("conv", "final_conv.0.weight", "final_conv.1.bias")
    names |= layer_names("dense", "final_linear.0") | layer_names("head", "final_linear.1")
    agree(config, size=network.sample_shape[1])
    return Logits(load_named(network, state, names))


def ada(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> StyleGAN2Generator:
    """Their Generator, with skips, which takes z and c; this one takes z and a condition."""
    state = without_filters(own_part(state, "G_ema"))
    sides = count_of(state, r"synthesis\.b\d+\.(conv0)\.weight")
    layers = [name.replace(".blocks", "") for name in _convs(sides)]
    multiplier = _multiplier(config)
    network = _generator(state, layers, "mapping.fc{}.weight", 0, "synthesis.b4.torgb.bias", multiplier)
    names = generator_names(sides, network.config["depth"]) | _embedding(state)
    agree(config, z_dim=network.latent_dim, w_dim=network.style_dim, **_constructed(network))
    _check_clamp(_inner(config, "synthesis_kwargs"), "synthesis_kwargs.")
    return load_named(network, state, names)


def generator_names(sides: int, depth: int) -> TensorNames:
    """Our names of ADA's generator, and of those made from it, with `sides` doublings."""
    names: TensorNames = {"synthesis.const": ("synthesis.b4.const",), "w_avg": ("mapping.w_avg",), **_mapping(depth)}
    for ours in _convs(sides):
        theirs = ours.replace(".blocks", "")
        names |= _styled(ours, theirs, "affine", f"{theirs}.bias")
        names |= {f"{ours}.{n}": (f"{theirs}.{t}",) for n, t in (("noise_strength",) * 2, ("noise", "noise_const"))}
    for k in range(sides + 1):
        theirs = f"synthesis.b{4 << k}.torgb"
        names |= _styled(f"synthesis.blocks.b{4 << k}.torgb", theirs, "affine", f"{theirs}.bias")
    return names


def ada_critic(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> Logits:
    """Their Discriminator, residual ("resnet") or plain ("orig"): images (B, C, size, size) -> logits (B, 1)."""
    state = without_filters(own_part(state, "D"))
    blocks = count_of(state, r"b\d+\.(conv0)\.weight")
    every = [f"b{4 << k}" for k in range(blocks, 0, -1)]
    group = _setting(_inner(config, "epilogue_kwargs"), "mbstd_group_size", GroupSize, 4, "epilogue_kwargs.")
    outputs = [f"{every[0] if every else 'b8'}.fromrgb", *(f"{name}.conv1" for name in every)]
    network = _critic(state, outputs, group, _multiplier(config))
    names = body_names(blocks, skips=f"{every[0]}.skip.weight" in state)
    names |= layer_names("dense", "b4.fc") | layer_names("head", "b4.out")
    names |= _mapping(len(network.mapping.layers)) | _embedding(state) if network.mapping else {}
    agree(config, **_constructed(network))
    _check_clamp(config)
    return Logits(load_named(network, state, names))


def body_names(blocks: int, skips: bool = True) -> TensorNames:
    """Our names of the convolutions of ADA's critic, and of encoders made from it, with `blocks` halvings."""
    largest = f"b{4 << blocks}"
    names: TensorNames = layer_names("fromrgb", f"{largest}.fromrgb") | layer_names("conv", "b4.conv")
    for i in range(blocks):
        ours, theirs = f"blocks.{i}", f"b{4 << (blocks - i)}"
        names |= layer_names(f"{ours}.conv0", f"{theirs}.conv0") | layer_names(f"{ours}.conv1", f"{theirs}.conv1")
        names |= {f"{ours}.skip.weight": (f"{theirs}.skip.weight",)} if skips else {}
    return names


@networks_of("the checkpoint does not fit the layout: ")
def _generator(
    state: Mapping[str, Tensor], layers: list[str], mapping: str, first: int, to_rgb: str, multiplier: float
) -> StyleGAN2Generator:
    """A generator of the sizes of the tensors."""
    weights = [weight_of(state, f"{layer}.conv.weight", f"{layer}.weight") for layer in layers]
    depth = count_of(state, mapping.format("#").replace(".", r"\.").replace("#", r"(\d+)"))
    first_layer, classes = weight_of(state, mapping.format(first)), _classes(state)
    style_dim = len(first_layer)
    return StyleGAN2Generator(
        latent_dim=first_layer.shape[1] - (style_dim if classes else 0),
        size=4 << (len(layers) // 2),
        channels=len(weight_of(state, to_rgb)),
        widths=[len(weight) for weight in weights[::2]],
        style_dim=style_dim,
        depth=depth,
        classes=classes,
        lr_multiplier=multiplier,
    )


@networks_of("the checkpoint does not fit the layout: ")
def _critic(
    state: Mapping[str, Tensor], outputs: list[str], group: int = 4, multiplier: float = LR_MULTIPLIER
) -> StyleGAN2Critic:
    """A critic of the sizes of the tensors; `outputs` are layers with the channels of the maps, the largest first."""
    weights = [weight_of(state, f"{name}.weight") for name in outputs]
    arguments: dict[str, Any] = {"widths": [len(weight) for weight in weights][::-1], "channels": weights[0].shape[1]}
    if classes := _classes(state):
        arguments |= {"classes": classes, "depth": count_of(state, r"mapping\.fc(\d+)\.weight")}
    skips = any(".skip." in name for name in state)
    return StyleGAN2Critic(
        size=4 << (len(outputs) - 1), skips=skips, group=group, lr_multiplier=multiplier, **arguments
    )


def _constructed(network: StyleGAN2Generator | StyleGAN2Critic) -> dict[str, int]:
    """Arguments of ADA's networks."""
    channels, size, _ = network.sample_shape
    return {"c_dim": network.classes, "img_resolution": size, "img_channels": channels}


def agree(config: Mapping[str, Any], **expected: float) -> None:
    """Refuses settings that contradict the tensors; they may as well be left out."""
    for name, value in expected.items():
        if config.get(name, value) != value:
            raise WeightsError(f"config.{name}: the tensors say {value}, got {shown(config[name])}")


def _setting(config: Mapping[str, Any], name: str, hint: Any, usual: Any, where: str = "") -> Any:
    """A setting that no tensor shows, checked."""
    return convert(hint, config.get(name, usual), where=f"config.{where}{name}")


def _inner(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Arguments of a part of ADA's network; none where the settings have none."""
    inner = config.get(name) or {}
    if not isinstance(inner, Mapping):
        raise WeightsError(f"config.{name}: needs a mapping of settings, got {shown(inner)}")
    return inner


def _multiplier(config: Mapping[str, Any]) -> float:
    """Of ADA's mapping."""
    given = _inner(config, "mapping_kwargs")
    return float(_setting(given, "lr_multiplier", LrMultiplier, LR_MULTIPLIER, "mapping_kwargs."))


def _check_clamp(config: Mapping[str, Any], where: str = "") -> None:
    """Refuses a clamp of the maps below the authors' 256, which no trained network reaches; there is none here."""
    clamp = config.get("conv_clamp")
    if clamp is not None and not (isinstance(clamp, (int, float)) and clamp >= CLAMP):
        raise WeightsError(f"config.{where}conv_clamp: maps are not clamped here; {CLAMP} or more is read, got {clamp}")


def _convs(sides: int) -> list[str]:
    """Our names of the styled convolutions, from the smallest map up."""
    larger = [f"synthesis.blocks.b{8 << k}.{conv}" for k in range(sides) for conv in ("conv0", "conv1")]
    return ["synthesis.blocks.b4.conv1", *larger]


def _styled(ours: str, theirs: str, affine: str, bias: str) -> TensorNames:
    names: TensorNames = layer_names(f"{ours}.affine", f"{theirs}.{affine}")
    return names | _pair(ours, f"{theirs}.weight", bias)


def _pair(ours: str, weight: str, bias: str) -> TensorNames:
    return {f"{ours}.weight": (weight,), f"{ours}.bias": (bias,)}


def _mapping(depth: int) -> TensorNames:
    """Names of ADA's mapping."""
    names: TensorNames = {}
    for i in range(depth):
        names |= layer_names(f"mapping.layers.{i}", f"mapping.fc{i}")
    return names


def _embedding(state: Mapping[str, Tensor]) -> TensorNames:
    """Of its labels, where there are any."""
    return layer_names("mapping.embedding", "mapping.embed") if _classes(state) else {}


def _classes(state: Mapping[str, Tensor]) -> int:
    return state["mapping.embed.weight"].shape[1] if "mapping.embed.weight" in state else 0


def count_of(state: Mapping[str, Tensor], pattern: str) -> int:
    return sum(re.fullmatch(pattern, name) is not None for name in state)


def weight_of(state: Mapping[str, Tensor], *names: str) -> Tensor:
    """The first tensor of `names` that is there.

    Raises:
        WeightsError: none is, or it is no tensor.
    """
    found = next((state[name] for name in names if name in state), None)
    if not isinstance(found, Tensor) or not found.dim():
        raise WeightsError(f"the checkpoint does not fit the layout: missing: {names[0]}")
    return found


def bare(name: str, value: Tensor) -> Tensor:
    """rosinality's tensors without the dimensions of size one that ours have not."""
    if name.endswith(("conv.weight", "input.input")) and value.shape[:1] == (1,):
        return value[0]
    if name.startswith("noises.") and value.shape[:2] == (1, 1):
        return value[0, 0]
    if name.startswith("to_rgb") and name.endswith("bias") and value.dim() == 4:
        return value.flatten()
    return value.reshape(()) if name.endswith("noise.weight") and value.numel() == 1 else value


def without_filters(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state without the resampling filters, which must be the one of the paper."""
    kernel = FIR().kernel
    for name, value in state.items():
        if not name.endswith((".kernel", ".resample_filter")):
            continue
        if value.shape != kernel.shape or not torch.allclose(value.float() / value.float().sum(), kernel):
            raise WeightsError(f"the checkpoint resamples by another filter than [1, 3, 3, 1] ({name})")
    return {k: v for k, v in state.items() if not k.endswith((".kernel", ".resample_filter"))}
