"""Tiny specs of everything in the catalog that is built from specs; a new name must join and is then checked."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from genkit.core import catalog
from genkit.core.system import System
from genkit.training.optimizers import Optimizer
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer

Spec = dict[str, Any]

POINTS: Spec = {"type": "gaussians8", "n": 50}
SHAPES: Spec = {"type": "shapes", "n": 40, "size": 8}
DIGITS: Spec = {"type": "digits", "split": "test", "size": 8}

MLP_G: Spec = {"type": "mlp_generator", "latent_dim": 3, "width": 8, "depth": 2}
MLP_C: Spec = {"type": "mlp_critic", "width": 8, "depth": 2}
DCGAN_G: Spec = {"type": "dcgan_generator", "latent_dim": 3, "size": 8, "width": 4}
DCGAN_C: Spec = {"type": "dcgan_critic", "size": 8, "width": 4}
RESNET_G: Spec = {"type": "resnet_generator", "latent_dim": 3, "size": 8, "channels": 1, "width": 4}
RESNET_C: Spec = {"type": "resnet_critic", "size": 8, "channels": 1, "width": 4}
TRANSGAN_G: Spec = {"type": "transgan_generator", "latent_dim": 3, "size": 8, "channels": 1, "width": 16}
TRANSGAN_G |= {"depths": [1, 1], "heads": 2}
TRANSGAN_C: Spec = {"type": "transgan_critic", "size": 8, "channels": 1, "width": 8, "depth": 1, "heads": 2}
STYLEGAN2_C: Spec = {"type": "stylegan2_critic", "size": 8, "channels": 1, "widths": [4, 4]}
STYLEGAN2_G: Spec = {**STYLEGAN2_C, "type": "stylegan2_generator", "latent_dim": 3, "style_dim": 4, "depth": 2}
HUE: Spec = {"type": "values", "low": 0.0, "high": 1.0, "cyclic": True, "unit": "", "free": False}
SHAPE: Spec = {"type": "labels", "classes": 4, "names": ["disc", "square", "triangle", "cross"], "free": False}
FACTORS: Spec = {"shape": SHAPE, "hue": HUE, "size": {**HUE, "low": 0.3, "high": 0.7, "cyclic": False}}
PREDICTOR: Spec = {"type": "attribute_predictor", "size": 8, "width": 4, "attributes": FACTORS}
SPLIT_G: Spec = {
    **STYLEGAN2_G,
    "latent_dim": 5,
    "style_dim": 5,
    "split": {"shape": 2, "rest": 3},
    "mid": 4,
    "mixing": 0,
}
STYLEGAN2_E: Spec = {**STYLEGAN2_C, "type": "stylegan2_encoder", "style_dim": 4}
JOINED_G: Spec = {**STYLEGAN2_G, "appended": 10}
CLASSIFIER: Spec = {"type": "classifier", "size": 8, "width": 4}
STYLEEX: Spec = {"type": "styleex", "network": JOINED_G, "encoder": STYLEGAN2_E, "classifier": CLASSIFIER}
UNAWARE: Spec = {**STYLEEX, "network": {**STYLEGAN2_G, "mixing": 0}}
WEIGHT_N: Spec = {"type": "weight_network", "size": 8, "channels": 1, "width": 2}
RESNET18_C: Spec = {"type": "imagenet_resnet_classifier", "classes": 10, "layers": 18, "size": 8, "start": "random"}
UNET: Spec = {"type": "unet", "size": 8, "channels": 1, "width": 8, "multipliers": [1, 2], "blocks": 1}
UNET |= {"attention": [4], "head_width": 8}

VAE_N: Spec = {"type": "vae_network", "size": 8, "latent_dim": 3, "width": 8}
HVAE_N: Spec = {"type": "hvae_network", "size": 8, "latent_dim": 3, "width": 8}
CONV_HVAE_N: Spec = {**HVAE_N, "type": "conv_hvae_network", "maps": 4}
PIXELSNAIL_N: Spec = {**HVAE_N, "type": "pixelsnail_vae_network", "size": 4, "maps": 16, "depth": 1}
NVAE_N: Spec = {"type": "nvae", "size": 8, "channels": 1, "width": 4, "groups": [1, 2], "latent_dim": 2, "cells": 1}
NVAE_N |= {"block_cells": 1}
ENERGY_N: Spec = {"type": "energy_network", "plan": "mnist", "size": 8, "channels": 1, "width": 2}
LOGISTIC: Spec = {"type": "logistic_256"}
GAUSSIAN: Spec = {"type": "gaussian"}
VAMP: Spec = {"type": "vamp_prior", "components": 4}
BY_EXAMPLE: Spec = {"type": "exemplar_prior"}

UNET2D: Spec = {"sample_size": 8, "in_channels": 1, "out_channels": 1, "block_out_channels": [8, 16]}
UNET2D |= {"layers_per_block": 1, "norm_num_groups": 4, "attention_head_dim": None}
UNET2D |= {"down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"]}


def seeded(spec: Spec, seed: int = 0) -> Any:
    """The object of `spec`, its weights a function of the seed."""
    torch.manual_seed(seed)
    return catalog.build(spec)


HEAD: Spec = {"type": "ratio_head", "feature_dim": 64, "width": 3}
RATIO: Spec = {"type": "density_ratio", "critic": DCGAN_C}
CONTROL_E: Spec = {"type": "control_encoder", "column": SHAPE, "dim": 2, "width": 4}
HUE_E: Spec = {**CONTROL_E, "column": HUE, "dim": 3, "rate": 0.5}

DIRECTIONS: Spec = {"directions": 2, "dim": 3}
PAIR: Spec = {"directions": 2, "channels": 1, "size": 8}
LENET: Spec = {**PAIR, "type": "lenet_reconstructor", "width": 1, "padded": 32}
ALONG: Spec = {"type": "unit_columns", "directions": 1, "dim": 3}
EDITED_W: Spec = {"type": "edited", "direction": {**ALONG, "dim": 4}, "space": "w"}

NETWORKS: dict[str, list[Spec]] = {
    "vae_network": [VAE_N, {**VAE_N, "scaled": True, "channels": 3}],
    "conv_hvae_network": [CONV_HVAE_N, {**CONV_HVAE_N, "scaled": True, "channels": 3, "size": 10}],
    "pixelsnail_vae_network": [PIXELSNAIL_N, {**PIXELSNAIL_N, "scaled": True, "channels": 3}],
    "nvae": [NVAE_N, {**NVAE_N, "scaled": True, "channels": 3, "flows": 1, "blocks": 0, "cells": 2}],
    "hvae_network": [HVAE_N, {**HVAE_N, "scaled": True, "channels": 3}],
    "energy_network": [
        *({**ENERGY_N, "plan": plan} for plan in ("mnist", "cifar10")),
        *({**ENERGY_N, "plan": plan, "size": 16} for plan in ("celeba64", "lsun64")),
        {**ENERGY_N, "plan": "celeba256", "size": 64},
        {**ENERGY_N, "norm": "spectral", "channels": 3},
    ],
    "mlp_generator": [MLP_G, {**MLP_G, "classes": 8}],
    "mlp_critic": [MLP_C, {**MLP_C, "classes": 8}],
    "dcgan_generator": [DCGAN_G, {**DCGAN_G, "classes": 10, "norm": "none", "channels": 3}],
    "dcgan_critic": [DCGAN_C, {**DCGAN_C, "norm": "batch", "spectral_norm": True, "dropout": 0.2}],
    "resnet_generator": [RESNET_G, {**RESNET_G, "classes": 10}],
    "resnet_critic": [RESNET_C, {**RESNET_C, "norm": "layer", "dropout": [0.2, 0.5]}],
    "transgan_generator": [
        {**TRANSGAN_G, "low_resolution": True},
        {**TRANSGAN_G, "relative": True, "windows": [0, 4], "norm": "pixel", "skips": True, "normalised": True},
    ],
    "transgan_critic": [TRANSGAN_C],
    "two_scale_transgan_critic": [{**TRANSGAN_C, "type": "two_scale_transgan_critic", "patch": 2}],
    "stylegan2_generator": [
        STYLEGAN2_G,
        {**STYLEGAN2_G, "classes": 10, "channels": 3, "size": 16, "widths": [4, 3, 2]},
        SPLIT_G,
        JOINED_G,
    ],
    "stylegan2_critic": [
        STYLEGAN2_C,
        {**STYLEGAN2_C, "classes": 10, "depth": 2, "skips": False},
        {**STYLEGAN2_C, "outputs": 10},
    ],
    "stylegan2_encoder": [STYLEGAN2_E, {**STYLEGAN2_E, "skips": False, "size": 16, "widths": [4, 3, 2]}],
    "control_encoder": [CONTROL_E, HUE_E],
    "density_ratio": [RATIO, {**RATIO, "head": HEAD, "calibration": {"type": "platt"}}],
    "ratio_head": [HEAD],
    "platt": [{"type": "platt"}],
    "isotonic": [{"type": "isotonic", "knots": 3}],
    "robust_dcgan_generator": [{"type": "robust_dcgan_generator", "latent_dim": 3, "width": 2}],
    "robust_dcgan_critic": [{"type": "robust_dcgan_critic", "width": 2, "bias": True}],
    "sndcgan_critic": [{"type": "sndcgan_critic", "width": 2}],
    "weight_network": [WEIGHT_N],
    "robust_resnet_generator": [{"type": "robust_resnet_generator", "latent_dim": 3, "width": 4}],
    "robust_resnet_critic": [{"type": "robust_resnet_critic", "width": 4}],
    "attribute_predictor": [PREDICTOR, {**PREDICTOR, "norm": "layer"}],
    "measured_shape": [{"type": "measured_shape", "size": 8}],
    "classifier": [{"type": "classifier", "size": 8, "width": 4}],
    "own_classifier": [{"type": "own_classifier", "source": "mine:net", "size": 8, "classes": 3, "grey": True}],
    "library_classifier": [
        {"type": "library_classifier", "architecture": "torchvision:squeezenet1_1", "size": 32, "classes": 2}
        | {"single": True, "mean": [0.5], "std": [0.5], "input_size": 40}
    ],
    "mlp_classifier": [{"type": "mlp_classifier", "size": 8, "width": 4}],
    "resized_classifier": [
        {"type": "resized_classifier", "size": 16, "classifier": {"type": "classifier", "size": 8, "width": 4}}
    ],
    "imagenet_resnet_classifier": [RESNET18_C],
    "imagenet_resnet_critic": [{"type": "imagenet_resnet_critic", "size": 8, "start": "random"}],
    "unet": [UNET, {**UNET, "size": 16, "patch": 2, "classes": 3, "unlabelled": True, "variance": True}],
    "diffusers_unet": [{"type": "diffusers_unet", "settings": UNET2D}],
    "super_resolution_unet": [
        {**UNET, "type": "super_resolution_unet", "low_size": 4, "variance": True},
        {**UNET, "type": "super_resolution_unet", "low_size": 5, "size": 16, "patch": 2, "groups": 4, "classes": 3},
    ],
    "directions": [
        seeded(
            {
                "type": "directions",
                "generator": {"type": "gan", "network": DCGAN_G},
                "deformator": {"type": "unit_columns", "directions": 2, "dim": 3},
                "names": ["", "darker"],
            }
        ).config
    ],
    "linear_deformator": [{**DIRECTIONS, "type": "linear_deformator", "bias": False, "start": "random"}],
    "projective_deformator": [{**DIRECTIONS, "type": "projective_deformator"}],
    "unit_columns": [{**DIRECTIONS, "type": "unit_columns"}],
    "orthogonal_deformator": [{**DIRECTIONS, "type": "orthogonal_deformator", "scale": 1.0}],
    "mlp_deformator": [{"type": "mlp_deformator", "directions": 3, "dim": 3, "width": 8}],
    "coordinates": [{**DIRECTIONS, "type": "coordinates"}],
    "fixed_directions": [{**DIRECTIONS, "type": "fixed_directions"}],
    "lenet_reconstructor": [LENET],
    "resnet18_reconstructor": [{**PAIR, "type": "resnet18_reconstructor", "resized": 16}],
    "encoder_unet": [
        {**UNET, "type": "encoder_unet"},
        {**UNET, "type": "encoder_unet", "size": 16, "patch": 2, "classes": 3, "pool": "spatial_v2"},
    ],
}

PROCESS: Spec = {"type": "process", "steps": 20}
FIXED: Spec = {**PROCESS, "variance": "fixed_large"}
DDPM: Spec = {
    "type": "ddpm",
    "network": {**UNET, "classes": 10, "unlabelled": True, "variance": True},
    "process": PROCESS,
}
PLAIN: Spec = {**FIXED, "steps": 25, "schedule": "linear", "prediction": "v"}
PLAIN_DDPM: Spec = {"type": "ddpm", "network": UNET, "process": PLAIN}
UPSAMPLER: Spec = {
    **DDPM,
    "type": "upsampler",
    "network": {**DDPM["network"], "type": "super_resolution_unet", "low_size": 4},
    "solver": {"type": "ancestral", "steps": "4"},
}
LARGER: Spec = {**UPSAMPLER, "network": {**UPSAMPLER["network"], "size": 16, "attention": [8], "low_size": 8}}
ENCODER: Spec = {**UNET, "type": "encoder_unet"}
NOISY: Spec = {"type": "noisy_classifier", "network": ENCODER, "process": PROCESS}

GAUSSIAN_VAE: Spec = {"type": "vae", "network": {**VAE_N, "scaled": True}, "likelihood": GAUSSIAN}
LANGEVIN: Spec = {"type": "langevin", "steps": 2, "step_size": 1e-2}
VAEBM: Spec = {"type": "vaebm", "decoder": GAUSSIAN_VAE, "energy": ENERGY_N, "langevin": LANGEVIN}

GENERATORS: dict[str, list[Spec]] = {
    "vaebm": [
        VAEBM,
        {**VAEBM, "shown": "sample", "candidates": 3},
        {**VAEBM, "langevin": None, "candidates": 2},
        {**VAEBM, "langevin": {**LANGEVIN, "metropolis": True}},
    ],
    "ddpm": [
        {**DDPM, "solver": {"type": "ancestral", "steps": "4"}},
        {**PLAIN_DDPM, "solver": {"type": "ddim", "steps": "ddim5", "eta": 0.5}},
        {**PLAIN_DDPM, "solver": {"type": "dpm_solver", "steps": 4}},
        {**DDPM, "solver": {"type": "unipc", "steps": 4}},
    ],
    "classifier_guided": [
        {
            "type": "classifier_guided",
            "generator": {**PLAIN_DDPM, "process": FIXED, "solver": {"type": "ddim", "steps": "ddim5"}},
            "classifier": NOISY,
            "scale": 3.0,
        },
        {
            "type": "classifier_guided",
            "generator": {
                "type": "classifier_free_guided",
                "generator": {**DDPM, "solver": {"type": "ancestral", "steps": "4"}},
                "scale": 0.0,
            },
            "classifier": NOISY,
            "at": "mean",
        },
    ],
    "classifier_free_guided": [
        {"type": "classifier_free_guided", "generator": {**DDPM, "solver": {"type": "ancestral", "steps": "4"}}}
    ],
    "upsampler": [
        UPSAMPLER,
        {"type": "classifier_free_guided", "generator": UPSAMPLER, "scale": 3.0},
        {"type": "classifier_guided", "generator": UPSAMPLER, "classifier": NOISY, "scale": 3.0},
    ],
    "ddim_latents": [
        {"type": "ddim_latents", "generator": PLAIN_DDPM, "steps": "ddim5"},
        {
            "type": "ddim_latents",
            "generator": {"type": "classifier_free_guided", "generator": DDPM, "scale": 1.0},
            "steps": "ddim4",
        },
    ],
    "cascade": [
        {"type": "cascade", "base": {"type": "gan", "network": {**DCGAN_G, "classes": 10}}, "upsampler": LARGER},
        {
            "type": "cascade",
            "base": {**DDPM, "network": {**UNET, "size": 4, "variance": True}},
            "upsampler": {"type": "classifier_free_guided", "generator": UPSAMPLER},
        },
        {"type": "cascade", "base": UPSAMPLER, "upsampler": LARGER},
    ],
    "vae": [
        {"type": "vae", "network": VAE_N},
        {"type": "vae", "network": {**VAE_N, "scaled": True}, "likelihood": LOGISTIC, "prior": VAMP},
        {"type": "vae", "network": HVAE_N, "prior": {"type": "exemplar_prior", "exemplars": 5}},
        {"type": "vae", "network": {**CONV_HVAE_N, "scaled": True, "channels": 3}, "likelihood": LOGISTIC},
        {"type": "vae", "network": PIXELSNAIL_N},
        {"type": "vae", "network": {**VAE_N, "scaled": True, "channels": 3}, "likelihood": GAUSSIAN},
        {"type": "vae", "network": NVAE_N},
        {"type": "vae", "network": {**NVAE_N, "scaled": True, "channels": 3, "flows": 1}, "likelihood": GAUSSIAN},
    ],
    "controlled": [
        {
            "type": "controlled",
            "generator": {"type": "gan", "network": SPLIT_G},
            "encoders": {"rest": HUE_E, "shape": CONTROL_E},
            "psi": {"shape": 0.5},
        }
    ],
    "truncated": [
        {"type": "truncated", "generator": {"type": "gan", "network": {**STYLEGAN2_G, "classes": 10}}, "layers": 2},
        {"type": "truncated", "generator": {"type": "gan", "network": SPLIT_G}, "psi": {"shape": 0.5}},
        {"type": "truncated", "generator": STYLEEX},
    ],
    "styleex": [STYLEEX, UNAWARE],
    "rejection": [
        {"type": "rejection", "generator": {"type": "gan", "network": DCGAN_G}, "ratio": RATIO, "samples": 100},
        {"type": "rejection", "generator": {"type": "gan", "network": {**MLP_G, "classes": 8}}, "percentile": 80}
        | {"ratio": {"type": "density_ratio", "critic": {**MLP_C, "classes": 8}}, "samples": 100},
    ],
    "metropolis_hastings": [
        {"type": "metropolis_hastings", "generator": {"type": "gan", "network": DCGAN_G}, "ratio": RATIO, "length": 4}
    ],
    "latent_langevin": [
        {"type": "latent_langevin", "generator": {"type": "gan", "network": STYLEGAN2_G}, "ratio": RATIO, "steps": 3}
    ],
    "latent_transport": [
        {"type": "latent_transport", "generator": {"type": "gan", "network": DCGAN_G}, "ratio": RATIO, "steps": 3}
    ],
    "edited": [
        {"type": "edited", "generator": {"type": "gan", "network": DCGAN_G}, "direction": ALONG, "strength": 3.0},
        {**EDITED_W, "generator": {"type": "gan", "network": {**STYLEGAN2_G, "classes": 10}}},
        {**EDITED_W, "space": "b8.conv1", "generator": STYLEEX},
        {
            **EDITED_W,
            "direction": ALONG,
            "space": "z.z",
            "generator": {"type": "truncated", "generator": {"type": "gan", "network": STYLEGAN2_G}},
        },
        {**EDITED_W, "generator": {**EDITED_W, "generator": {"type": "gan", "network": STYLEGAN2_G}, "space": "w.0-1"}},
        {
            "type": "edited",
            "generator": {"type": "vae", "network": HVAE_N},
            "direction": {"type": "mlp_deformator", "directions": 3, "dim": 3, "width": 8},
            "number": 2,
            "space": "z.1",
        },
    ],
    "gan": [
        {"type": "gan", "network": network}
        for name in (
            "mlp_generator",
            "dcgan_generator",
            "resnet_generator",
            "transgan_generator",
            "stylegan2_generator",
        )
        for network in NETWORKS[name]
    ],
}


@dataclass(frozen=True)
class SystemCase:
    """A tiny system.

    Attributes:
        spec: of the system.
        data: its training data.
        order: learners of one iteration's updates.
        noisy: its networks draw noise of their own (dropout), so that splitting a batch changes it.
        rate: learning rate at which plain gradient descent does not blow up rounding errors.
    """

    spec: Spec
    data: Spec
    order: tuple[str, ...]
    noisy: bool = False
    rate: float = 0.05


def gan_case(order: tuple[str, ...], *, noisy: bool = False, images: bool = False, **slots: Any) -> SystemCase:
    generator, critic = (DCGAN_G, DCGAN_C) if images else (MLP_G, MLP_C)
    spec = {
        "type": "gan_training",
        "generator": {"type": "gan", "network": slots.pop("network", generator)},
        "critic": slots.pop("critic", critic),
        **slots,
    }
    return SystemCase(spec, DIGITS if images else POINTS, order, noisy)


R1: Spec = {"type": "r1"}
PATHS: Spec = {"type": "path_length", "every": 1}
CLIPPED: Spec = {"type": "ratio_clipping", "classifier": MLP_C, "steps": 2}
PLAY, CLIPPED_PLAY = ("critic", "generator"), ("critic", "classifier", "generator", "classifier", "generator")


def vae_case(generator: Spec, **arguments: Any) -> SystemCase:
    spec = {"type": "vae_training", "generator": {"type": "vae", **generator}, "warmup": 4, **arguments}
    noisy = generator["network"]["type"] == "pixelsnail_vae_network"
    return SystemCase(spec, DIGITS, ("vae",), noisy=noisy, rate=1e-4)


INVERTED: Spec = {"type": "domains", "source": DIGITS, "target": {"type": "shifted", "data": DIGITS, "inverted": True}}


FINISHED = tempfile.TemporaryDirectory()


def finished(spec: Spec) -> Spec:
    """Weights that are given to what takes finished ones alone."""
    folder = Path(FINISHED.name) / f"{len(list(Path(FINISHED.name).iterdir()))}"
    return {"weights": str(seeded(spec).save_pretrained(folder))}


def energy_case(energy: Spec = ENERGY_N, **arguments: Any) -> SystemCase:
    generator = {**VAEBM, "decoder": finished(GAUSSIAN_VAE), "energy": energy}
    spec = {"type": "vaebm_training", "generator": generator, "langevin": LANGEVIN, **arguments}
    # The power iteration of a spectral norm moves on with every micro-batch.
    return SystemCase(spec, DIGITS, ("energy",), noisy=energy.get("norm") == "spectral", rate=1e-4)


def adaptation_case(order: tuple[str, ...], **arguments: Any) -> SystemCase:
    critic = {**MLP_C, "dims": 12, "spectral_norm": True} if "critic" in order else None
    spec = {"type": "domain_adaptation", "classifier": {**CLASSIFIER, "norm": "layer"}, "critic": critic, **arguments}
    # The power iteration of a spectral norm moves on with every micro-batch.
    return SystemCase({k: v for k, v in spec.items() if v is not None}, INVERTED, order, noisy=critic is not None)


GREY_PREDICTOR: Spec = finished({**PREDICTOR, "channels": 1})


def contrastive(attribute: str, measure: Spec, **arguments: Any) -> Spec:
    return {
        "type": "contrastive",
        "attribute": attribute,
        "measure": measure,
        "tau_plus": 0.01,
        "tau_minus": 0.5,
    } | arguments


def paired_case(*terms: Spec, **rule: Any) -> SystemCase:
    """A StyleGAN2 with a split latent, in pairs."""
    rule = {"type": "paired_ascent", **rule}
    return gan_case(PLAY, images=True, network=SPLIT_G, critic=STYLEGAN2_C, penalties=list(terms), rule=rule)


RECONSTRUCTION: Spec = {"type": "reconstruction"}
AGREEMENT: Spec = {"type": "agreement"}
OF_LATENTS: Spec = {"type": "latent_reconstruction"}


def perceptual(likeness: Spec | None = None, **arguments: Any) -> Spec:
    return {"type": "perceptual", **({"likeness": likeness} if likeness else {}), **arguments}


def styleex_case(order: tuple[str, ...] = PLAY, spec: Spec = STYLEEX, data: Spec = DIGITS, **slots: Any) -> SystemCase:
    """A StyleEx of a finished classifier."""
    generator = {**spec, "classifier": finished(spec["classifier"])}
    critic = {**STYLEGAN2_C, "size": spec["network"]["size"], "widths": spec["network"]["widths"]}
    critic |= {"outputs": spec["network"].get("appended", 0)}
    return SystemCase(
        {"type": "styleex_training", "generator": generator, "critic": slots.pop("critic", critic), **slots},
        data,
        order,
    )


def lpips() -> Spec:
    """Of random weights, in files."""
    from safetensors.torch import save_file
    from torchvision.models import alexnet

    torch.manual_seed(0)
    state = {k: v for k, v in alexnet().state_dict().items() if k.startswith("features.")}
    widths = (64, 192, 384, 256, 256)
    linear = {f"lin{k}.model.1.weight": torch.rand(1, width, 1, 1) for k, width in enumerate(widths)}
    save_file(state, Path(LPIPS_FILES.name) / "alexnet.safetensors")
    torch.save(linear, Path(LPIPS_FILES.name) / "linear.pth")
    files = {"backbone": "alexnet.safetensors", "linear": "linear.pth"}
    return {"type": "lpips", **{k: str(Path(LPIPS_FILES.name) / file) for k, file in files.items()}}


def directions_case(deformator: Spec, network: Spec = DCGAN_G, space: str = "z", **arguments: Any) -> SystemCase:
    dim = network["style_dim" if space == "w" else "latent_dim"]
    deformator = {"directions": 2, "dim": dim, **deformator}
    return SystemCase(
        {
            "type": "directions_training",
            "generator": finished({"type": "gan", "network": network}),
            "deformator": deformator,
            "reconstructor": {**LENET, "directions": deformator["directions"]},
            "space": space,
            **arguments,
        },
        POINTS,
        ("directions",),
    )


LPIPS_FILES = tempfile.TemporaryDirectory()
WIDE: Spec = {"size": 32, "widths": [4, 4, 4, 4]}
WIDE_STYLEEX: Spec = {
    **{**STYLEEX, "network": {**JOINED_G, **WIDE}, "encoder": {**STYLEGAN2_E, **WIDE}},
    "classifier": {**CLASSIFIER, "size": 32},
}

LABELLED_RATIO: Spec = {
    "generator": finished({"type": "gan", "network": {**DCGAN_G, "classes": 10}}),
    "ratio": {**RATIO, "critic": {**DCGAN_C, "classes": 10}},
}

SYSTEMS: dict[str, list[SystemCase]] = {
    "styleex_training": [
        styleex_case(
            objective={"type": "non_saturating"},
            penalties=[
                R1,
                {"type": "path_length", "every": 2},
                RECONSTRUCTION,
                AGREEMENT,
                OF_LATENTS,
                perceptual({"type": "multi_scale", "scales": 1}),
            ],
        ),
        styleex_case(
            (*["critic"] * 4, *["generator"] * 3),
            critic_steps=2,
            alternate=1,
            rule={"type": "ascent", "steps": 2, "batches": 2},
            penalties=[
                {"type": "own_step", "term": R1},
                {"type": "own_step", "term": {**AGREEMENT, "every": 1}},
                {**RECONSTRUCTION, "every": 1},
                perceptual({"type": "features", "network": finished(CLASSIFIER), "layers": ["stages.2", "head"]}),
            ],
        ),
        styleex_case(spec=UNAWARE, penalties=[RECONSTRUCTION, PATHS]),
        styleex_case(
            spec=WIDE_STYLEEX, data={**DIGITS, "size": 32}, penalties=[RECONSTRUCTION, perceptual(lpips(), every=4)]
        ),
    ],
    "keep_training": [
        SystemCase(
            {
                "type": "keep_training",
                "generator": finished({"type": "gan", "network": DCGAN_G}),
                "ratio": RATIO,
                "samples": 100,
                **extra,
            },
            DIGITS,
            ("ratio",),
        )
        for extra in (
            {},
            LABELLED_RATIO,
            {**LABELLED_RATIO, "pool": 20},
            {**LABELLED_RATIO, "pool": 20, "generator": finished({**DDPM, "solver": {"type": "ddim", "steps": "2"}})},
            {"pool": 20, "ratio": {**RATIO, "critic": finished(DCGAN_C)}},
            {"ratio": {**RATIO, "critic": finished(DCGAN_C), "head": HEAD}},
        )
    ],
    "directions_training": [
        directions_case({"type": "orthogonal_deformator", "scale": 1.0}),
        directions_case(
            {"type": "unit_columns"}, STYLEGAN2_G, space="w", unit=1.0, shifts={"type": "shifts", "kind": "normal"}
        ),
        directions_case({"type": "mlp_deformator", "directions": 3, "width": 8}),
    ],
    "control_training": [
        SystemCase(
            {
                "type": "control_training",
                "generator": finished({"type": "gan", "network": SPLIT_G}),
                "controls": {
                    "shape": {"type": "predicted_class", "classifier": finished(CLASSIFIER)},
                    "rest": {"type": "predicted_attribute", "predictor": GREY_PREDICTOR, "attribute": "hue"},
                },
                "pairs": 50,
                "width": 4,
            },
            DIGITS,
            ("encoders",),
        )
    ],
    "domain_adaptation": [
        adaptation_case(("classifier",), classifier=CLASSIFIER),
        adaptation_case(("classifier",), entropy=0.1),
        adaptation_case(("critic", "classifier"), objective={"type": "hinge"}, critic_steps=2),
        adaptation_case(
            ("weights", "critic", "classifier"),
            weighting={"type": "robust_weights", "network": WEIGHT_N, "outlier_share": 0.2},
            critic_steps=1,
            entropy=0.25,
        ),
        adaptation_case(
            ("critic", "classifier"),
            weighting={"type": "closed_form_weights", "rho": 0.1},
            critic_steps=1,
            entropy=0.25,
        ),
    ],
    "ddpm_training": [
        SystemCase({"type": "ddpm_training", "generator": DDPM, "label_dropout": 0.5}, DIGITS, ("denoiser",)),
        SystemCase({"type": "ddpm_training", "generator": PLAIN_DDPM}, DIGITS, ("denoiser",)),
        SystemCase({"type": "ddpm_training", "generator": UPSAMPLER, "label_dropout": 0.5}, DIGITS, ("denoiser",)),
        SystemCase(
            {
                "type": "ddpm_training",
                "generator": DDPM,
                "loss": {"type": "bound"},
                "steps": {"type": "second_moment", "groups": 2, "history": 3},
            },
            DIGITS,
            ("denoiser",),
        ),
    ],
    "noisy_classifier_training": [
        SystemCase({"type": "noisy_classifier_training", "classifier": NOISY}, DIGITS, ("classifier",))
    ],
    "vae_training": [
        vae_case({"network": VAE_N}),
        vae_case({"network": {**VAE_N, "scaled": True}, "likelihood": LOGISTIC, "prior": VAMP}),
        vae_case({"network": VAE_N, "prior": BY_EXAMPLE}, exemplars={"type": "random_exemplars", "size": 20}),
        vae_case(
            {"network": HVAE_N, "prior": BY_EXAMPLE},
            exemplars={"type": "random_exemplars", "size": 20, "replacement": False},
        ),
        vae_case(
            {"network": VAE_N, "prior": BY_EXAMPLE},
            exemplars={"type": "retrieved_exemplars", "size": 40, "neighbours": 3, "period": 2},
        ),
        vae_case(
            {"network": CONV_HVAE_N, "prior": BY_EXAMPLE},
            exemplars={
                "type": "retrieved_exemplars",
                "size": 40,
                "neighbours": 3,
                "estimator": "authors",
                "refresh": "rolling",
                "period": 3,
            },
        ),
        vae_case({"network": VAE_N, "prior": BY_EXAMPLE}, exemplars={"type": "frozen_exemplars", "period": 2}),
        vae_case({"network": {**PIXELSNAIL_N, "size": 8}}),
        vae_case({"network": {**HVAE_N, "scaled": True}, "likelihood": GAUSSIAN}),
        vae_case({"network": {**NVAE_N, "flows": 1}}),
        vae_case(
            {"network": {**NVAE_N, "scaled": True}, "likelihood": GAUSSIAN},
            divergence={"type": "balanced_kl"},
            regularisation={"type": "spectral_regularisation", "weight": 0.1, "start": 1.0},
        ),
        vae_case({"network": {**HVAE_N, "scaled": True}, "likelihood": LOGISTIC}, divergence={"type": "balanced_kl"}),
    ],
    "vaebm_training": [
        energy_case(guard={"type": "runaway_guard", "contrast": 1e6}, magnitude=0.1),
        energy_case(
            negatives="sample",
            langevin={**LANGEVIN, "target": "published", "step_size": 1e-5},
            chains={"type": "persistent_chains", "share": 0.6, "size": 20, "warmup": 1},
        ),
        energy_case(energy={**ENERGY_N, "norm": "spectral"}, spectral=0.0, langevin={**LANGEVIN, "metropolis": True}),
    ],
    "gan_training": [
        gan_case(PLAY),
        gan_case(
            ("critic", "critic", "generator", "generator"),
            objective={"type": "hinge"},
            critic_steps=2,
            penalties=[{"type": "gradient_penalty", "sides": "one"}],
            rule={"type": "ascent", "steps": 2},
        ),
        gan_case(
            PLAY,
            network={**MLP_G, "classes": 8},
            critic={**MLP_C, "classes": 8},
            objective={"type": "non_saturating"},
            penalties=[{"type": "r1"}],
        ),
        gan_case(
            CLIPPED_PLAY,
            objective={"type": "wasserstein"},
            fake_weighting={"type": "softmax_weighting"},
            penalties=[{"type": "gradient_penalty"}],
            rule=CLIPPED,
            schedules=[
                {"type": "anneal", "setting": "fake_weighting.temperature", "start": 2.0, "stop": 1.0, "steps": 4}
            ],
        ),
        gan_case(CLIPPED_PLAY, rule={**CLIPPED, "type": "official_ratio_clipping"}),
        gan_case(
            PLAY,
            images=True,
            noisy=True,
            critic={**DCGAN_C, "dropout": 0.3},
            penalties=[{"type": "consistency"}, {"type": "gradient_penalty"}],
        ),
        gan_case(PLAY, images=True, network={**DCGAN_G, "norm": "none"}),
        gan_case(
            CLIPPED_PLAY,
            images=True,
            critic={**DCGAN_C, "spectral_norm": True},
            rule={"type": "ratio_clipping", "classifier": {**DCGAN_C, "norm": "batch"}, "steps": 2},
        ),
        gan_case(
            ("weights", *PLAY),
            images=True,
            real_weighting={"type": "robust_weights", "network": WEIGHT_N, "outlier_share": 0.2},
            penalties=[{"type": "sup_norm_penalty", "outlier_share": 0.1}],
        ),
        gan_case(
            ("weights", *PLAY),
            objective={"type": "hinge"},
            real_weighting={"type": "official_robust_weights", "network": MLP_C, "rho": 0.1},
            rule={"type": "reused_ascent"},
        ),
        gan_case(
            ("fake_weights", *PLAY),
            real_weighting={"type": "closed_form_weights", "outlier_share": 0.2},
            fake_weighting={"type": "robust_weights", "network": MLP_C, "outlier_share": 0.2},
            penalties=[{"type": "gradient_penalty"}],
        ),
        gan_case(PLAY, images=True, network=RESNET_G, critic=RESNET_C),
        gan_case(
            ("critic", "critic", "generator", "generator"),
            images=True,
            noisy=True,
            network={**TRANSGAN_G, "low_resolution": True},
            critic=TRANSGAN_C,
            critic_steps=2,
            view={"type": "diff_augment"},
            penalties=[{"type": "gradient_penalty"}, {"type": "score_drift"}],
            rule={"type": "ascent", "batches": 2},
            cotasks=[{"type": "super_resolution"}],
            schedules=[{"type": "locality_mask", "widths": [4, 6], "until": [2, 3]}],
        ),
        gan_case(
            PLAY,
            images=True,
            network=STYLEGAN2_G,
            critic=STYLEGAN2_C,
            objective={"type": "non_saturating"},
            penalties=[{"type": "r1", "every": 2}, {"type": "path_length", "every": 2}],
        ),
        gan_case(
            ("critic", "critic", "generator", "generator"),
            images=True,
            network=STYLEGAN2_G,
            critic=STYLEGAN2_C,
            penalties=[{"type": "own_step", "term": term} for term in (R1, PATHS)],
            view={"type": "adaptive_augment", "p": 0.5, "images": 100, "every": 1},
            noisy=True,
        ),
        paired_case(
            contrastive("shape", {"type": "predicted_class", "classifier": finished(CLASSIFIER)}, distance="squared"),
            contrastive("rest", {"type": "mean_colour"}),
            {
                "type": "class_balance",
                "attribute": "shape",
                "measure": {"type": "predicted_class", "classifier": finished(CLASSIFIER)},
            },
        ),
        paired_case(
            contrastive(
                "shape",
                {"type": "gram_matrices", "network": finished(CLASSIFIER), "layer": "stages.2"},
                distance="gram",
            ),
            rows={"shape": 4},
        ),
        gan_case(
            PLAY, images=True, network={**STYLEGAN2_G, "classes": 10}, critic={**STYLEGAN2_C, "classes": 10, "group": 1}
        ),
        gan_case(
            ("critic", "critic", "generator"),
            critic_steps=2,
            penalties=[{"type": "r1", "every": 3}, {"type": "gradient_penalty", "every": 2}],
        ),
    ],
    "attribute_training": [
        SystemCase({"type": "attribute_training", "predictor": predictor}, SHAPES, ("predictor",))
        for predictor in NETWORKS["attribute_predictor"]
    ],
    "classifier_training": [
        SystemCase(
            {"type": "classifier_training", "classifier": NETWORKS["classifier"][0], "shift": 1},
            DIGITS,
            ("classifier",),
        ),
        SystemCase(
            {"type": "classifier_training", "classifier": NETWORKS["mlp_classifier"][0], "shift": 0},
            DIGITS,
            ("classifier",),
        ),
    ],
}


def techniques() -> set[str]:
    """Names of the techniques that some system case uses."""
    return {name for cases in SYSTEMS.values() for case in cases for name in _types(case.spec)}


def _types(spec: Any) -> set[str]:
    if isinstance(spec, dict):
        named = {spec["type"]} if "type" in spec else set[str]()
        return named.union(*(_types(v) for v in spec.values()))
    return set().union(*(_types(v) for v in spec)) if isinstance(spec, list) else set()


GENERATOR_SPECS = {f"{name}-{i}": spec for name, specs in GENERATORS.items() for i, spec in enumerate(specs)}
SYSTEM_CASES = {f"{name}-{i}": case for name, cases in SYSTEMS.items() for i, case in enumerate(cases)}


def make_trainer(
    case: SystemCase,
    *,
    optimizer: Spec | None = None,
    accumulate: int = 1,
    batch_size: int = 8,
    seed: int = 0,
    kind: type[Trainer] = Trainer,
) -> Trainer:
    """A trainer at iteration 0."""
    system: System = seeded(case.spec, seed).train()
    data = catalog.build(case.data)
    system.check_data(data.sample_shape, data.conditions)
    system.setup(data)
    step = catalog.convert(Optimizer, optimizer or {"type": "adam", "lr": 1e-3, "betas": [0.5, 0.9]})
    optimizers = dict.fromkeys(system.all_learners(), step)
    return kind(system, Stream(data, batch_size, seed=seed), optimizers, steps=20, accumulate=accumulate, ema_decay=0.9)
