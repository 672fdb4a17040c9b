"""Of every layout, which settings the authors' class reads, and which it does not.

Read off their code. A setting is "read" when it changes what is loaded, "refused" when it contradicts the tensors or
asks for what genkit's network does not have, "ignored" when their class never looks at it: it may then say anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DModel
from safetensors.torch import load_file
from torch import Tensor, nn

from genkit import foreign
from genkit.core.errors import WeightsError
from genkit.diffusion.authors.diffusion_settings import ddpm, noisy_classifier
from genkit.diffusion.networks.encoder_unet import EncoderUNet
from genkit.diffusion.networks.unet import UNet
from genkit.diffusion.networks.unet_plan import EncoderPlan, UNetPlan
from tests.diffusion.authors import adm
from tests.diffusion.authors.pipelines import GOOGLE
from tests.gan.authors.test_stylegan2 import as_ada
from tests.gan.authors.test_transgan import large_names
from tests.gan.stylegan2.fixture import read
from tests.shared import shared


@dataclass(frozen=True)
class Case:
    """A checkpoint with the settings that fit it, and what to call its network with."""

    layout: str
    state: dict[str, Tensor]
    config: dict[str, Any]
    given: tuple[Tensor, ...]

    def told(self, **changes: Any) -> dict[str, Any]:
        """The settings with other values, wherever the authors keep them."""
        inner = next((name for name in ("args", "constructor") if name in self.config), None)
        return {inner: self.config[inner] | changes} if inner else self.config | changes

    def outcome(self, **changes: Any) -> tuple[Any, Any]:
        """Configuration and answer of what is loaded; a network that draws noise answers by the same noise."""
        module: Any = foreign.load(self.layout, self.state, self.told(**changes))
        kept = module.network if not hasattr(module, "config") else module
        if not self.given:
            return kept.config, None
        torch.manual_seed(0)
        with torch.no_grad():
            answer = module(*self.given)
        parts = answer if isinstance(answer, tuple) else (answer,)
        return kept.config, torch.cat([part.flatten() for part in parts if isinstance(part, Tensor)]).tolist()


def fixture(system: str, name: str = "") -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]:
    folder = shared("fixtures", system, name)
    config = json.loads((folder / "config.json").read_text())
    return config, load_file(folder / "weights.safetensors"), load_file(folder / "io.safetensors")


def part(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}


def transgan(layout: str, name: str) -> Case:
    config, state, io = fixture("transgan", name)
    given = io["real"] if layout.endswith("critic") else io["z"]
    return Case(f"transgan/{layout}", state, config, (given[:1],))


def transgan_large() -> Case:
    config = {"bottom_width": 1, "gf_dim": 64, "latent_dim": 5, "g_norm": "pn", "g_window_size": 4}
    return Case("transgan/neurips_generator", large_names(config), config, (torch.randn(1, 5),))


def ppogan(layout: str, name: str) -> Case:
    config, state, io = fixture("ratio_clipping", "networks")
    given = io["z"] if layout == "generator" else torch.randn(2, 3, 32, 32)
    return Case(f"ppogan/{layout}", part(state, name), config, (given,))


def robust_ot(layout: str, name: str) -> Case:
    config, state, io = fixture("robust_ot", "networks")
    return Case(f"robust-ot/{layout}", part(state, name), config, (io["z"] if "G" in name else io["x"],))


def exemplar_vae(layout: str, name: str) -> Case:
    config, state, io = fixture("exemplar_vae", name)
    return Case(f"exemplar-vae/{layout}", state, config, (io["x"][:1],))


def stylegan2(layout: str) -> Case:
    recorded = read()
    critic = layout.endswith("critic")
    network = "discriminator" if critic else "generator"
    state = as_ada(recorded.weights, network) if "ada" in layout else part(recorded.weights, network)
    given = recorded.io["in.real" if critic else "in.z"]
    return Case(f"stylegan2/{layout}", state, {}, (given,))


def gan_control() -> Case:
    config, state, io = fixture("gan_control")
    own = {name: config[name] for name in ("sub_groups_dict", "size", "style_dim", "n_mlp", "lr_mlp")}
    return Case("gan_control/generator", part(state, "generator"), own, (io["in.z"],))


def vaebm() -> Case:
    config, state, io = fixture("vaebm", "ebm_mnist")
    return Case("vaebm/energy", state, config, (io["x"],))


def nvae() -> Case:
    config, state, io = fixture("vaebm", "langevin_nvae")
    latents = tuple(io[f"vae_sample/eps{g}"].flatten(1) for g in range(4))
    return Case("vaebm/nvae", state, config["nvae_args"], (latents,))


OPENAI = {"image_size": 8, "in_channels": 3, "model_channels": 32, "out_channels": 6, "num_res_blocks": 1}
OPENAI |= {"attention_resolutions": [2], "channel_mult": [1, 2], "num_heads": 2, "num_classes": 3}


def openai(layout: str, **more: Any) -> Case:
    torch.manual_seed(0)
    config, weights, x = OPENAI | more, adm.Weights(), torch.randn(1, 3, 8, 8)
    t, y = torch.tensor([7.0]), torch.tensor([2])
    if layout.endswith("classifier"):
        adm.classifier(weights, config, x, t)
        return Case(layout, dict(weights), config, (x, t))
    if "small_size" in config:
        adm.super_resolution(weights, config, x, t, x[..., :4, :4], y)
        return Case(layout, dict(weights), config, ())
    adm.unet(weights, config, x, t, y)
    return Case(layout, dict(weights), config, (x, t, y))


def pipeline(kind: str, scheduler_kind: str, **scheduler: Any) -> Case:
    torch.manual_seed(0)
    unet = {k: v for k, v in GOOGLE.items() if not k.startswith("_")}
    told = {"_class_name": scheduler_kind, "num_train_timesteps": 100, **scheduler}
    config = {"pipeline": kind, "unet": unet, "scheduler": told}
    return Case("diffusers/pipeline", UNet2DModel(**unet).state_dict(), config, ())


CASES: dict[str, Callable[[], Case]] = {
    "v1_generator": lambda: transgan("v1_generator", "v1_TransGAN_8_8_1"),
    "v1_critic": lambda: transgan("v1_critic", "v1_TransGAN_8_8_1"),
    "neurips_rp": lambda: transgan("neurips_generator", "neurips_rp"),
    "neurips_rgb_skip": lambda: transgan("neurips_generator", "neurips_rgb_skip"),
    "neurips_large": transgan_large,
    "neurips_critic": lambda: transgan("neurips_critic", "neurips_rp"),
    "ppogan_generator": lambda: ppogan("generator", "netG"),
    "ppogan_critic": lambda: ppogan("critic", "netD"),
    "ppogan_classifier": lambda: ppogan("classifier", "D"),
    "dcgan_generator": lambda: robust_ot("dcgan_generator", "dcgan.netG"),
    "dcgan_critic": lambda: robust_ot("dcgan_critic", "dcgan.netD"),
    "dcgan_weights": lambda: robust_ot("dcgan_weights", "dcgan.netW"),
    "sndcgan_critic": lambda: robust_ot("sndcgan_critic", "sndcgan.netD"),
    "resnet_generator": lambda: robust_ot("resnet_generator", "resnet.netG"),
    "resnet_critic": lambda: robust_ot("resnet_critic", "resnet.netD"),
    "resnet_weights": lambda: robust_ot("resnet_weights", "resnet.netW"),
    "vae": lambda: exemplar_vae("vae", "vae_binary"),
    "vae_gray": lambda: exemplar_vae("vae", "vae_gray"),
    "vae_vamp": lambda: exemplar_vae("vae", "vae_vamp"),
    "hvae": lambda: exemplar_vae("hvae_2level", "hvae_binary"),
    "convhvae": lambda: exemplar_vae("convhvae_2level", "convhvae_binary"),
    "energy": vaebm,
    "nvae": nvae,
    **{name: partial(stylegan2, name) for name in ("rosinality", "rosinality_critic", "ada", "ada_critic")},
    "gan_control": gan_control,
    "unet": lambda: openai("guided-diffusion/unet"),
    "unet_by_width": lambda: openai("guided-diffusion/unet", num_head_channels=16),
    "improved": lambda: openai("improved-diffusion/unet"),
    "super_resolution": lambda: openai("guided-diffusion/super_resolution_unet", small_size=4),
    "classifier": lambda: openai("guided-diffusion/classifier", out_channels=5, pool="adaptive"),
    "classifier_by_width": lambda: openai(
        "guided-diffusion/classifier", out_channels=5, pool="attention", num_head_channels=16
    ),
    "ddpm_pipeline": lambda: pipeline("DDPMPipeline", "DDPMScheduler"),
    "ddim_pipeline": lambda: pipeline("DDIMPipeline", "DDIMScheduler"),
    "ddim_of_ddpm_scheduler": lambda: pipeline("DDIMPipeline", "DDPMScheduler"),
    "ddpm_of_ddim_scheduler": lambda: pipeline("DDPMPipeline", "DDIMScheduler"),
    "cosine_pipeline": lambda: pipeline("DDPMPipeline", "DDPMScheduler", beta_schedule="squaredcos_cap_v2"),
}
made = cache(lambda name: CASES[name]())

READ, IGNORED, REFUSED = "read", "ignored", "refused"
Told = dict[str, dict[str, Any]]
V1_UNREAD = {"g_norm": "pn", "g_act": "leakyrelu", "g_mlp": 2, "latent_norm": True, "g_window_size": 4, "g_depth": 9}
CRITIC_UNREAD = {"d_norm": "pn", "d_act": "leakyrelu", "d_mlp": 2, "d_window_size": 4, "d_depth": 9, "d_heads": 2}
ROBUST_UNREAD = {"G_bias": True, "D_bias": True, "D_normalization": "BN", "rho": 0.5, "gp_lamb": 1}
VAE_UNREAD = {"bottleneck": 3, "lambd": 0.1, "dataset_name": "cifar10", "approximate_k": 9, "number_components": 7}
VAE_UNREAD |= {"training_set_size": 9, "pseudoinputs_mean": 0.1, "no_mask": True}
SHAPES = {"in_channels": 1, "model_channels": 64, "num_res_blocks": 2, "channel_mult": [1, 1], "dims": 1}
SHAPES |= {"attention_resolutions": [1, 2], "conv_resample": False, "use_scale_shift_norm": True}
UNREAD = {"use_checkpoint": True, "use_fp16": True}
BETAS = {"beta_start": 0.001, "beta_end": 0.1, "beta_schedule": "scaled_linear"}
CLIPPED = {"clip_sample": False, "clip_sample_range": 2.0, "thresholding": True, "rescale_betas_zero_snr": True}

TABLE: dict[str, Told] = {
    "v1_generator": {
        REFUSED: {"bottom_width": 4, "gf_dim": 128, "latent_dim": 25},
        IGNORED: V1_UNREAD | CRITIC_UNREAD,
    },
    "v1_critic": {
        REFUSED: {"img_size": 64, "patch_size": 8, "df_dim": 64},
        READ: {"num_heads": 2},
        IGNORED: V1_UNREAD | CRITIC_UNREAD | {"bottom_width": 4, "diff_aug": "color"},
    },
    "neurips_rp": {
        REFUSED: {"bottom_width": 4, "gf_dim": 128, "latent_dim": 25, "g_norm": "pn", "g_mlp": 2},
        READ: {"g_act": "leakyrelu", "latent_norm": True},
        IGNORED: CRITIC_UNREAD | {"g_window_size": 4, "g_depth": "9,9,9", "num_heads": 2},
    },
    "neurips_rgb_skip": {
        REFUSED: {"bottom_width": 4, "gf_dim": 128, "latent_dim": 25, "g_norm": "pn"},
        READ: {"g_act": "leakyrelu"},
        IGNORED: CRITIC_UNREAD | {"latent_norm": True, "g_mlp": 2, "g_window_size": 4, "num_heads": 2},
    },
    "neurips_large": {
        REFUSED: {"bottom_width": 2, "gf_dim": 128, "latent_dim": 6, "g_mlp": 2, "g_window_size": 2},
        READ: {"g_norm": "none", "g_act": "leakyrelu", "latent_norm": True},
        IGNORED: CRITIC_UNREAD | {"num_heads": 2},
    },
    "neurips_critic": {
        REFUSED: {"img_size": 64, "patch_size": 4, "df_dim": 32, "d_norm": "pn", "num_heads": 2},
        READ: {"d_act": "leakyrelu"},
        IGNORED: V1_UNREAD | CRITIC_UNREAD | {"bottom_width": 4, "diff_aug": "color", "d_norm": "ln", "d_act": "gelu"},
    },
    "ppogan_generator": {
        REFUSED: {"nz": 11, "G_SIZE": 9, "ImageSize": 64},
        IGNORED: {"D_SCALE": 2.0, "d1": 0.5, "beta1": 0.1, "clip_param": 0.1},
    },
    "ppogan_critic": {
        REFUSED: {"G_SIZE": 9, "D_SCALE": 2.0, "ImageSize": 64},
        READ: {"d1": 0.5, "d2": 0.5, "d3": 0.5},
        IGNORED: {"nz": 11, "LAMBDA": 1},
    },
    "ppogan_classifier": {
        REFUSED: {"G_SIZE": 9, "D_SCALE": 2.0, "ImageSize": 64},
        IGNORED: {"nz": 11, "d1": 0.5, "d2": 0.5, "d3": 0.5},
    },
    "dcgan_generator": {
        REFUSED: {"nz": 13, "ngf": 9, "imageSize": 64, "G_activation": "lrelu"},
        IGNORED: ROBUST_UNREAD | {"ndf": 9, "D_activation": "relu"},
    },
    "dcgan_critic": {
        REFUSED: {"ndf": 9, "imageSize": 64, "D_activation": "relu"},
        IGNORED: ROBUST_UNREAD | {"nz": 13, "ngf": 9, "G_activation": "lrelu"},
    },
    "sndcgan_critic": {
        REFUSED: {"ndf": 9, "imageSize": 64, "D_activation": "relu"},
        IGNORED: ROBUST_UNREAD | {"nz": 13, "ngf": 9, "G_activation": "lrelu"},
    },
    "dcgan_weights": {
        REFUSED: {"ndf": 9, "imageSize": 64},
        IGNORED: ROBUST_UNREAD | {"D_activation": "relu", "G_activation": "lrelu", "nz": 13},
    },
    "resnet_generator": {
        REFUSED: {"nz": 13, "ngf": 9, "imageSize": 64, "G_activation": "lrelu"},
        IGNORED: ROBUST_UNREAD | {"ndf": 9, "D_activation": "lrelu"},
    },
    "resnet_critic": {
        REFUSED: {"ndf": 9, "imageSize": 64, "D_activation": "lrelu"},
        IGNORED: ROBUST_UNREAD | {"nz": 13, "ngf": 9, "G_activation": "lrelu"},
    },
    "resnet_weights": {
        REFUSED: {"ndf": 9, "imageSize": 64},
        IGNORED: ROBUST_UNREAD | {"D_activation": "lrelu", "G_activation": "lrelu", "nz": 13},
    },
    "vae": {
        REFUSED: {
            "prior": "standard", "input_type": "gray", "input_size": [1, 8, 8], "hidden_size": 25, "z1_size": 7,
            "use_logit": True, "same_variational_var": True, "no_attention": True,
        },
        IGNORED: VAE_UNREAD | {"z2_size": 9},
    },
    "vae_gray": {
        REFUSED: {"input_type": "binary", "use_logit": True},
        IGNORED: VAE_UNREAD | {"input_type": "continuous", "z2_size": 9},
    },
    "vae_vamp": {
        REFUSED: {"number_components": 13, "prior": "standard"},
        IGNORED: {k: v for k, v in VAE_UNREAD.items() if k != "number_components"},
    },
    "hvae": {
        REFUSED: {
            "prior": "standard", "input_type": "gray", "input_size": [1, 12, 8], "hidden_size": 25, "z1_size": 7,
            "z2_size": 7, "same_variational_var": True,
        },
        IGNORED: VAE_UNREAD | {"no_attention": True, "use_logit": True},
    },
    "convhvae": {
        REFUSED: {
            "prior": "standard", "input_type": "gray", "input_size": [1, 24, 12], "z1_size": 7, "z2_size": 7,
            "no_attention": True,
        },
        IGNORED: VAE_UNREAD | {"hidden_size": 25, "same_variational_var": True, "use_logit": True},
    },
    "energy": {
        REFUSED: {"cls": "EBM_CIFAR32", "mid_channel": 9, "nc": 3},
        IGNORED: {"batch_size": 32, "step_size": 8e-5, "alpha_s": 0.3, "data_init": True},
    },
    "nvae": {
        REFUSED: {
            "num_latent_scales": 1, "num_groups_per_scale": 3, "num_latent_per_group": 4, "num_channels_enc": 5,
            "num_channels_dec": 5, "ada_groups": True, "num_preprocess_blocks": 2, "num_postprocess_blocks": 2,
            "num_preprocess_cells": 3, "num_postprocess_cells": 3, "num_cell_per_cond_enc": 2,
            "num_cell_per_cond_dec": 2, "num_mixture_dec": 10, "num_nf": 1, "arch_instance": "res_elu",
            "use_se": False, "res_dist": False,
        },
        IGNORED: {"dataset": "celeba_64", "num_x_bits": 5, "min_groups_per_scale": 2, "weight_decay_norm": 0.1},
    },
    "rosinality": {
        REFUSED: {"size": 64, "style_dim": 64, "n_mlp": 8},
        READ: {"lr_mlp": 0.1},
        IGNORED: {"channel_multiplier": 1, "blur_kernel": [1, 2, 1]},
    },
    "rosinality_critic": {REFUSED: {"size": 64}, IGNORED: {"channel_multiplier": 1, "blur_kernel": [1, 2, 1]}},
    "ada": {
        REFUSED: {"z_dim": 64, "c_dim": 3, "w_dim": 64, "img_resolution": 64, "img_channels": 1, "synthesis_kwargs": 1},
        READ: {"mapping_kwargs": {"lr_multiplier": 0.1}},
        IGNORED: {"conv_clamp": 256, "num_fp16_res": 4},
    },
    "ada_critic": {
        REFUSED: {"c_dim": 3, "img_resolution": 64, "img_channels": 1},
        READ: {"epilogue_kwargs": {"mbstd_group_size": 8}},
        IGNORED: {"conv_clamp": 256, "num_fp16_res": 4},
    },
    "gan_control": {
        REFUSED: {
            "size": 64, "style_dim": 64, "n_mlp": 8, "vanilla": True, "split_fc": False, "conv_transpose": False,
            "g_noise_mode": "same_for_same_id", "marge_fc": True, "latent_size": 512,
            "sub_groups_dict": {"shape": {"place_in_latent": [0, 48]}},
        },
        READ: {"lr_mlp": 0.1},
        IGNORED: {"channel_multiplier": 1, "mini_batch": 16},
    },
    "unet": {
        REFUSED: SHAPES | {"out_channels": 3, "num_classes": None, "resblock_updown": True},
        READ: {
            "num_heads": 4, "num_heads_upsample": 4, "num_head_channels": 16, "use_new_attention_order": True,
            "dropout": 0.5, "image_size": 16,
        },
        IGNORED: UNREAD | {"pool": "spatial", "small_size": 4},
    },
    "unet_by_width": {
        READ: {"num_head_channels": 32, "use_new_attention_order": True},
        IGNORED: {"num_heads": 4, "num_heads_upsample": 4},
    },
    "improved": {
        REFUSED: SHAPES | {"out_channels": 3, "num_classes": None},
        READ: {"num_heads": 4, "num_heads_upsample": 4, "dropout": 0.5, "image_size": 16},
        IGNORED: UNREAD | {"num_head_channels": 16, "resblock_updown": True, "use_new_attention_order": True},
    },
    "super_resolution": {
        REFUSED: SHAPES | {"out_channels": 3, "num_classes": None, "resblock_updown": True, "small_size": 8},
        READ: {"small_size": 6, "num_heads": 4, "num_heads_upsample": 4, "num_head_channels": 16, "dropout": 0.5},
        IGNORED: UNREAD | {"pool": "spatial"},
    },
    "classifier": {
        REFUSED: SHAPES | {"out_channels": 6, "pool": "spatial", "resblock_updown": True},
        READ: {"num_heads": 4, "num_head_channels": 16, "use_new_attention_order": True, "dropout": 0.5},
        IGNORED: UNREAD | {"num_classes": 1, "num_heads_upsample": 4},
    },
    "classifier_by_width": {
        REFUSED: {"pool": "adaptive", "num_head_channels": -1},
        READ: {"num_head_channels": 32, "use_new_attention_order": True},
        IGNORED: {"num_heads": 4, "num_heads_upsample": 4, "num_classes": 9},
    },
}  # fmt: skip
SCHEDULER_TABLE: dict[str, Told] = {
    "ddpm_pipeline": {
        REFUSED: CLIPPED | {"variance_type": "learned_range", "prediction_type": "flow"},
        READ: BETAS | {"num_train_timesteps": 50, "trained_betas": [0.02] * 100, "prediction_type": "sample",
                       "variance_type": "fixed_large"},
        IGNORED: {"set_alpha_to_one": False, "timestep_spacing": "trailing", "sample_max_value": 2.0},
    },
    "ddim_pipeline": {
        REFUSED: CLIPPED | {"prediction_type": "flow"},
        READ: BETAS | {"num_train_timesteps": 50, "trained_betas": [0.02] * 100, "prediction_type": "sample",
                       "timestep_spacing": "trailing", "steps_offset": 1},
        IGNORED: {"variance_type": "learned_range", "sample_max_value": 2.0},
    },
    "ddim_of_ddpm_scheduler": {IGNORED: {"variance_type": "learned"}},
    "ddpm_of_ddim_scheduler": {IGNORED: {"variance_type": "learned", "timestep_spacing": "trailing"}},
    "cosine_pipeline": {IGNORED: {"beta_start": 0.001, "beta_end": 0.1}},
}  # fmt: skip


def rows(table: dict[str, Told]) -> Iterator[Any]:
    for case, expected in table.items():
        for outcome, settings in expected.items():
            for name, value in settings.items():
                yield pytest.param(case, name, value, outcome, id=f"{case}-{name}-{outcome}")


def found(case: Case, changes: dict[str, Any]) -> str:
    try:
        return IGNORED if case.outcome(**changes) == case.outcome() else READ
    except WeightsError as refusal:
        assert "\n" not in str(refusal)
        return REFUSED


@pytest.mark.parametrize(("case", "name", "value", "outcome"), list(rows(TABLE)))
def test_a_setting(case: str, name: str, value: Any, outcome: str) -> None:
    assert found(made(case), {name: value}) == outcome


@pytest.mark.parametrize(("case", "name", "value", "outcome"), list(rows(SCHEDULER_TABLE)))
def test_a_setting_of_a_scheduler(case: str, name: str, value: Any, outcome: str) -> None:
    scheduler = made(case).config["scheduler"] | {name: value}
    assert found(made(case), {"scheduler": scheduler}) == outcome


def test_every_layout_has_a_row() -> None:
    assert {made(case).layout for case in (*TABLE, *SCHEDULER_TABLE)} == set(foreign.layouts())
    assert CASES.keys() == {*TABLE, *SCHEDULER_TABLE}


def test_our_defaults_of_a_scheduler_are_theirs() -> None:
    plain = made("ddpm_pipeline")
    whole = {k: v for k, v in DDPMScheduler(num_train_timesteps=100).config.items() if not k.startswith("_")}
    assert found(plain, {"scheduler": plain.config["scheduler"] | whole}) == IGNORED


SMALL = {"size": 8, "width": 8, "multipliers": (1, 2), "blocks": 1, "attention": (), "head_width": 8}
FIXED, LEARNED = UNet(UNetPlan(**SMALL)), UNet(UNetPlan(**SMALL, variance=True))
FLAGS = {"diffusion_steps": 500, "noise_schedule": "cosine", "predict_xstart": True, "rescale_timesteps": True}
TRAINING_FLAGS = {"use_kl": True, "rescale_learned_sigmas": True, "schedule_sampler": "loss-second-moment"}


@pytest.mark.parametrize("network", [FIXED, LEARNED], ids=["fixed", "learned"])
def test_flags_of_a_process(network: nn.Module) -> None:
    def config(**flags: Any) -> Any:
        return ddpm(network, "guided-diffusion/unet", flags).config  # type: ignore[arg-type]

    for name, value in (FLAGS | {"timestep_respacing": "25", "use_ddim": True}).items():
        assert config(**{name: value}) != config(), name
    for name, value in TRAINING_FLAGS.items():
        assert config(**{name: value}) == config(), name
    assert (config(sigma_small=True) == config()) == (network is LEARNED)


def test_flags_of_a_noisy_classifiers_process() -> None:
    network = EncoderUNet(EncoderPlan(**SMALL))

    def config(**flags: Any) -> Any:
        return noisy_classifier(network, "guided-diffusion/classifier", flags).config

    for name, value in FLAGS.items():
        assert config(**{name: value}) != config(), name
    for name, value in (TRAINING_FLAGS | {"timestep_respacing": "25", "use_ddim": True}).items():
        assert config(**{name: value}) == config(), name
