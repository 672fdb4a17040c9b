"""OpenAI's own flags, as their READMEs give them for each published checkpoint."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import save_file

from genkit import foreign
from genkit.cli.import_ import command
from genkit.core.errors import GenkitError, WeightsError
from genkit.core.generator import Generator
from genkit.core.pretrained import Pretrained
from genkit.diffusion.authors.guided_diffusion import (
    ClassifierSettings,
    ImprovedSettings,
    SuperResolutionSettings,
    UNetSettings,
)
from genkit.diffusion.authors.script_flags import FLAGS, from_flags, of_command_line
from genkit.diffusion.networks.unet_plan import EncoderPlan, UNetPlan
from tests.diffusion.authors import adm
from tests.diffusion.networks.published import PUBLISHED

Flags = dict[str, Any]

UNET, UPSAMPLER = "guided-diffusion/unet", "guided-diffusion/super_resolution_unet"
CLASSIFIER, IMPROVED = "guided-diffusion/classifier", "improved-diffusion/unet"
ADM: Flags = {
    "attention_resolutions": "32,16,8",
    "diffusion_steps": 1000,
    "learn_sigma": True,
    "noise_schedule": "linear",
}
ADM |= {"resblock_updown": True, "use_fp16": True, "use_scale_shift_norm": True, "num_res_blocks": 2}
WIDE: Flags = {**ADM, "class_cond": True, "num_channels": 256}
SIXTY_FOUR: Flags = {"image_size": 64, "num_channels": 192, "num_res_blocks": 3, "dropout": 0.1}
SIXTY_FOUR |= {"num_head_channels": 64, "use_new_attention_order": True, "noise_schedule": "cosine"}
GUIDE: Flags = {"classifier_attention_resolutions": "32,16,8", "classifier_depth": 2, "classifier_width": 128}
GUIDE |= {"classifier_pool": "attention", "classifier_resblock_updown": True, "classifier_use_scale_shift_norm": True}
IDDPM: Flags = {"num_channels": 128, "num_res_blocks": 3, "learn_sigma": True, "diffusion_steps": 4000}
IDDPM |= {"noise_schedule": "cosine", "rescale_learned_sigmas": False, "rescale_timesteps": False}
PAPERS: dict[str, tuple[str, Flags]] = {
    "ADM, LSUN 256": (UNET, {**WIDE, "class_cond": False, "dropout": 0.1, "image_size": 256, "num_head_channels": 64}),
    "ADM, ImageNet 64": (UNET, {**WIDE, **SIXTY_FOUR}),
    "ADM, ImageNet 128": (UNET, {**WIDE, "image_size": 128, "num_heads": 4}),
    "ADM, ImageNet 256": (UNET, {**WIDE, "image_size": 256, "num_head_channels": 64}),
    "ADM, ImageNet 512": (UNET, {**WIDE, "image_size": 512, "num_head_channels": 64}),
    "ADM, 64 to 256": (
        UPSAMPLER,
        {**WIDE, "large_size": 256, "small_size": 64, "num_channels": 192, "num_heads": 4},
    ),
    "ADM, 128 to 512": (
        UPSAMPLER,
        {
            **WIDE,
            "attention_resolutions": "32,16",
            "large_size": 512,
            "small_size": 128,
            "num_channels": 192,
            "num_head_channels": 64,
        },
    ),
    "classifier, 64": (CLASSIFIER, {**GUIDE, "image_size": 64, "classifier_depth": 4}),
    "classifier, 128": (CLASSIFIER, {**GUIDE, "image_size": 128}),
    "classifier, 256": (CLASSIFIER, {**GUIDE, "image_size": 256}),
    "classifier, 512": (CLASSIFIER, {**GUIDE, "image_size": 512}),
    "IDDPM, CIFAR-10": (IMPROVED, {**IDDPM, "image_size": 32, "dropout": 0.3}),
    "IDDPM, ImageNet 64": (IMPROVED, {**IDDPM, "image_size": 64}),
    "IDDPM, ImageNet 64 with labels": (IMPROVED, {**IDDPM, "image_size": 64, "num_channels": 192, "class_cond": True}),
    "IDDPM, LSUN 256": (
        IMPROVED,
        {
            **IDDPM,
            "image_size": 256,
            "num_res_blocks": 2,
            "num_heads": 1,
            "use_scale_shift_norm": False,
            "attention_resolutions": 16,
        },
    ),
}
SETTINGS = {
    UNET: UNetSettings,
    UPSAMPLER: SuperResolutionSettings,
    CLASSIFIER: ClassifierSettings,
    IMPROVED: ImprovedSettings,
}


@pytest.mark.parametrize("name", PAPERS)
def test_the_published_flags_make_the_published_networks(name: str) -> None:
    layout, flags = PAPERS[name]
    config, spec = from_flags(layout, flags), dict(PUBLISHED[name][1])
    settings = SETTINGS[layout](**{k: v for k, v in config.items() if k in SETTINGS[layout].model_fields})
    low_size, _ = spec.pop("low_size", None), spec.pop("type")
    assert getattr(settings, "small_size", None) == low_size
    if layout == CLASSIFIER:
        assert (settings.out_channels, settings.pool) == (spec.pop("classes"), "attention")
        assert settings.encoder() == EncoderPlan(**spec)
    else:
        assert settings.denoiser() == UNetPlan(**spec)
    assert config["noise_schedule"] == flags.get("noise_schedule", "linear")


def test_defaults_are_the_scripts() -> None:
    """guided_diffusion/script_util.py 22e0df8, improved_diffusion/script_util.py 1bc7bbb."""
    unet, improved, upsampler, guide = (from_flags(layout, {}) for layout in (UNET, IMPROVED, UPSAMPLER, CLASSIFIER))
    for made in (unet, improved, upsampler):
        assert (made["model_channels"], made["num_res_blocks"], made["num_heads"], made["out_channels"]) == (
            128,
            2,
            4,
            3,
        )
        assert (
            made["use_scale_shift_norm"] is True
            and made["channel_mult"] == ([1, 2, 3, 4], [1, 1, 2, 2, 4, 4])[made["image_size"] == 256]
        )
        assert "num_classes" not in made and made["dropout"] == 0
    assert unet["image_size"] == improved["image_size"] == guide["image_size"] == 64
    assert (upsampler["image_size"], upsampler["small_size"]) == (256, 64)
    assert unet["attention_resolutions"] == improved["attention_resolutions"] == [4, 8]
    assert upsampler["attention_resolutions"] == [16, 32] and guide["attention_resolutions"] == [2, 4, 8]
    assert (guide["model_channels"], guide["num_res_blocks"], guide["pool"]) == (128, 2, "attention")
    assert guide["resblock_updown"] and not unet["resblock_updown"] and guide["out_channels"] == 1000
    assert improved["rescale_timesteps"] and not unet["rescale_timesteps"]


def test_flags_of_the_loss_of_memory_and_of_precision_change_nothing() -> None:
    for layout, defaults in FLAGS.items():
        for name in ("use_kl", "rescale_learned_sigmas", "use_fp16", "use_checkpoint", "classifier_use_fp16"):
            if name in defaults:
                assert from_flags(layout, {name: not defaults[name]}) == from_flags(layout, {}), name


@pytest.mark.parametrize(
    ("layout", "flags", "message"),
    [
        (
            UNET,
            {"num_chanels": 64},
            "settings.num_chanels: no flag of guided-diffusion/unet; did you mean 'num_channels'",
        ),
        (UNET, {"model_channels": 64}, "settings.model_channels: no flag of"),
        (UNET, {"classifier_depth": 2}, "settings.classifier_depth: no flag of"),
        (UNET, {"batch_size": 4}, "settings.batch_size: no flag of"),
        (UNET, {"sigma_small": True}, "settings.sigma_small: no flag of"),
        (UPSAMPLER, {"channel_mult": "1,2"}, "settings.channel_mult: no flag of"),
        (CLASSIFIER, {"timestep_respacing": "25"}, "settings.timestep_respacing: no flag of"),
        (IMPROVED, {"num_head_channels": 64}, "settings.num_head_channels: no flag of"),
        (IMPROVED, {"learn_sigma": True, "sigma_small": True}, "settings.sigma_small: learn_sigma is true, so that"),
        (UNET, {"num_head_channels": 64, "num_heads": 8}, "settings.num_heads: num_head_channels is given, so that"),
        (
            UPSAMPLER,
            {"num_head_channels": 64, "num_heads_upsample": 8},
            "settings.num_heads_upsample: num_head_channels",
        ),
        (UNET, {"num_classes": 10}, "settings.num_classes: class_cond is false, so that"),
        (UNET, {"attention_resolutions": "16,7"}, "no map has the side length 7, .* accepted: 64, 32, 16, 8$"),
        (
            UNET,
            {"image_size": 28},
            "settings.image_size: the script knows no channel_mult for 28, only for 64, 128, 256, ",
        ),
        (
            UPSAMPLER,
            {"large_size": 128},
            "settings.large_size: the script knows no channel_mult for 128, only for 64, 256",
        ),
        (UNET, {"image_size": "64"}, "settings.image_size: a whole number is needed, got '64'"),
        (UNET, {"class_cond": 1}, "settings.class_cond: true or false is needed, got 1"),
        (UNET, {"dropout": "none"}, "settings.dropout: a number is needed"),
        (UNET, {"attention_resolutions": "16;8"}, "settings.attention_resolutions: numbers with commas"),
        ("diffusers/pipeline", {}, "diffusers/pipeline: no flags of its authors' scripts are known"),
        ("ppogan/generator", {}, "ppogan/generator: no flags of its authors' scripts are known"),
    ],
    ids=str,
)
def test_what_makes_no_network_is_refused_in_one_line(layout: str, flags: Flags, message: str) -> None:
    with pytest.raises(WeightsError, match=message) as refusal:
        foreign.from_flags(layout, flags)
    assert "\n" not in str(refusal.value)


SMALL: Flags = {"image_size": 8, "num_channels": 32, "num_res_blocks": 1, "channel_mult": [1, 2], "num_heads": 2}
SMALL |= {"attention_resolutions": "4", "class_cond": True, "num_classes": 3, "learn_sigma": True}
SMALL |= {"timestep_respacing": 3, "noise_schedule": "cosine"}


def test_the_command_takes_flags(tmp_path):
    weights, config = adm.Weights(), from_flags(UNET, SMALL)
    x, t, y = torch.randn(2, 3, 8, 8), torch.tensor([7.0, 800.0]), torch.tensor([2, 0])
    expected = adm.unet(weights, config, x, t, y)
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "flags.yaml").write_text(yaml.safe_dump(SMALL))
    line = [UNET, str(tmp_path / "model.safetensors"), "--settings", str(tmp_path / "flags.yaml")]
    result = CliRunner().invoke(command, [*line, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    generator = Generator.from_pretrained(tmp_path / "out")
    torch.testing.assert_close(generator.network(x, t, y), expected, rtol=0, atol=5e-5)
    assert generator.solver.steps == "3" and generator.process.config["schedule"] == "cosine"
    both = CliRunner().invoke(
        command, [*line, "--config", str(tmp_path / "flags.yaml"), "--out", str(tmp_path / "two")]
    )
    assert isinstance(both.exception, GenkitError) and "give one of them" in str(both.exception)
    words = [word for name, value in SMALL.items() for word in (f"--{name}", str(value).strip("[]").replace(" ", ""))]
    typed = [UNET, line[1], *words, "--batch_size", "4", "--out", str(tmp_path / "typed")]
    result = CliRunner().invoke(command, typed)
    assert result.exit_code == 0 and result.output.startswith("passed over, not of this network: batch_size\n")
    assert Generator.from_pretrained(tmp_path / "typed").config == generator.config
    both = CliRunner().invoke(command, [*line, *words, "--out", str(tmp_path / "two")])
    assert isinstance(both.exception, GenkitError) and "--image_size is a flag" in str(both.exception)


def test_a_classifier_of_flags(tmp_path):
    flags = {"classifier_width": 64, "classifier_depth": 1, "classifier_pool": "adaptive", "num_classes": 5}
    config, weights = from_flags(CLASSIFIER, flags | {"noise_schedule": "cosine"}), adm.Weights()
    x, t = torch.randn(1, 3, 64, 64), torch.tensor([3.0])
    expected = adm.classifier(weights, config, x, t)
    save_file(weights, tmp_path / "guide.safetensors")
    foreign.import_checkpoint(CLASSIFIER, tmp_path / "guide.safetensors", config, tmp_path / "out")
    made = Pretrained.from_pretrained(tmp_path / "out")
    torch.testing.assert_close(made(x, t), expected, rtol=0, atol=5e-5)
    assert made.process.config["schedule"] == "cosine" and made.classes == 5


README_LINES: dict[str, tuple[str, str]] = {
    "ADM, ImageNet 64": (
        UNET,
        "--attention_resolutions 32,16,8 --class_cond True --diffusion_steps 1000 --dropout 0.1 --image_size 64 "
        "--learn_sigma True --noise_schedule cosine --num_channels 192 --num_head_channels 64 --num_res_blocks 3 "
        "--resblock_updown True --use_new_attention_order True --use_fp16 True --use_scale_shift_norm True "
        "--classifier_scale 1.0 --classifier_path models/64x64_classifier.pt --classifier_depth 4 "
        "--model_path models/64x64_diffusion.pt --batch_size 4 --num_samples 100 --timestep_respacing 250",
    ),
    "ADM, 64 to 256": (
        UPSAMPLER,
        "--attention_resolutions 32,16,8 --class_cond True --diffusion_steps 1000 --large_size 256 --small_size 64 "
        "--learn_sigma True --noise_schedule linear --num_channels 192 --num_heads 4 --num_res_blocks 2 "
        "--resblock_updown True --use_fp16 True --use_scale_shift_norm True --model_path models/64_256_upsampler.pt "
        "--base_samples 64_samples.npz --batch_size 4 --num_samples 100 --timestep_respacing 250",
    ),
    "classifier, 128": (
        CLASSIFIER,
        "--iterations 300000 --anneal_lr True --batch_size 256 --lr 3e-4 --save_interval 10000 --weight_decay 0.05 "
        "--image_size 128 --classifier_attention_resolutions 32,16,8 --classifier_depth 2 --classifier_width 128 "
        "--classifier_pool attention --classifier_resblock_updown True --classifier_use_scale_shift_norm True",
    ),
    "IDDPM, CIFAR-10": (
        IMPROVED,
        "--image_size 32 --num_channels 128 --num_res_blocks 3 --learn_sigma True --dropout 0.3 --diffusion_steps 4000 "
        "--noise_schedule cosine --rescale_learned_sigmas=False --rescale_timesteps=False --lr 1e-4 --batch_size 128",
    ),
}
"""The flags of their READMEs, as printed there, of sampling and training too."""


@pytest.mark.parametrize("name", README_LINES)
def test_a_line_of_their_readme_is_the_settings_file(name: str) -> None:
    layout, line = README_LINES[name]
    found, passed = foreign.from_command_line(layout, line.split())
    _, flags = PAPERS[name]
    respaced = {"timestep_respacing": "250"} if "timestep_respacing" in line else {}
    told = {flag: value for flag, value in flags.items() if flag in FLAGS[layout]}
    assert found == from_flags(layout, {**told, **respaced})
    assert "batch_size" in passed and not {*passed} & {*FLAGS[layout]}


@pytest.mark.parametrize(
    ("layout", "line", "told"),
    [
        (UNET, "--num_chanels 192", "--num_chanels: no flag of guided-diffusion/unet; did you mean 'num_channels'?"),
        (UNET, "--small_size 64", "--small_size: no flag of guided-diffusion/unet"),
        (UNET, "--num_channels", "--num_channels needs a value, as in --num_channels 128"),
        (UNET, "--class_cond --num_channels 192", "--class_cond needs a value"),
        (UNET, "--class_cond maybe", "--class_cond: true or false is needed, got 'maybe'"),
        (UNET, "--num_channels many", "--num_channels: a whole number is needed, got 'many'"),
        (UNET, "--dropout nothing", "--dropout: a number is needed, got 'nothing'"),
        (UNET, "192", "'192' is no flag of guided-diffusion/unet"),
        (UNET, "--num_head_channels 64 --num_heads 2", "num_heads: num_head_channels is given"),
        ("ppogan/critic", "--G_SIZE 128", "ppogan/critic: no flags of its authors' scripts are known"),
        ("diffusers/pipeline", "--num_channels 1", "diffusers/pipeline: no flags of its authors' scripts are known"),
        ("stylegan2/ada", "--x 1", "stylegan2/ada: no flags of its authors' scripts are known"),
    ],
)
def test_a_wrong_line_is_refused(layout: str, line: str, told: str) -> None:
    with pytest.raises(WeightsError) as refused:
        foreign.from_command_line(layout, line.split())
    assert told in str(refused.value)


def test_values_are_read_as_their_scripts_read_them() -> None:
    for text in ("True", "yes", "t", "1"):
        assert of_command_line(UNET, ["--class_cond", text])[0] == {"class_cond": True}
    for text in ("False", "No", "f", "0"):
        assert of_command_line(UNET, [f"--class_cond={text}"])[0] == {"class_cond": False}
    assert of_command_line(UNET, ["--num_heads_upsample", "-1", "--dropout", "1e-1", "--use_ddim", "y"]) == (
        {"num_heads_upsample": -1, "dropout": 0.1, "use_ddim": True},
        [],
    )


@pytest.mark.parametrize("layout", FLAGS)
def test_the_example_of_info_is_of_a_published_network(layout: str) -> None:
    option, example = foreign.example_settings(layout) or ("", {})
    told = from_flags(layout, example)
    assert option == "--settings"
    line = [word for name, value in example.items() for word in (f"--{name}", str(value))]
    assert foreign.from_command_line(layout, line) == (told, [])
    kind = SETTINGS[layout]

    def network(settings: Flags) -> Any:
        return kind(**{name: value for name, value in settings.items() if name in kind.model_fields})

    assert network(told) in [network(from_flags(of, flags)) for of, flags in PAPERS.values() if of == layout]
