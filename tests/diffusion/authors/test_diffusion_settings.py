"""OpenAI's checkpoints become generators and classifiers that know their process."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from torch import Tensor

from genkit import foreign
from genkit.cli.import_ import command
from genkit.core.errors import WeightsError
from genkit.core.generator import Generator
from genkit.core.pretrained import Pretrained
from genkit.diffusion.authors.diffusion_settings import ddpm, noisy_classifier
from genkit.diffusion.networks.encoder_unet import EncoderUNet
from genkit.diffusion.networks.unet import UNet
from genkit.diffusion.networks.unet_plan import EncoderPlan, UNetPlan
from genkit.diffusion.noisy_classifier import NoisyClassifier
from genkit.diffusion.solvers import DDIM, Ancestral
from genkit.diffusion.upsampler import Upsampler
from tests.diffusion.authors import adm

CONFIG = {"image_size": 8, "in_channels": 3, "model_channels": 32, "out_channels": 6, "num_res_blocks": 1}
CONFIG |= {"attention_resolutions": [2], "channel_mult": [1, 2], "num_heads": 2, "num_classes": 3}
TINY = {"size": 8, "width": 8, "multipliers": (1, 2), "blocks": 1, "attention": (), "head_width": 8}


def checkpoint() -> dict[str, Tensor]:
    weights = adm.Weights()
    adm.unet(weights, CONFIG, torch.randn(1, 3, 8, 8), torch.tensor([1.0]), torch.tensor([0]))
    return weights


def network(*, variance: bool = True) -> UNet:
    return UNet(UNetPlan(**TINY, variance=variance))


@pytest.mark.parametrize("layout", ["guided-diffusion/unet", "improved-diffusion/unet"])
def test_the_command_writes_a_folder_that_samples(layout, tmp_path):
    weights = checkpoint()
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"timestep_respacing": "3", "noise_schedule": "cosine"}))
    paths = ["--config", str(tmp_path / "config.json"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(command, [layout, str(tmp_path / "model.safetensors"), *paths])
    assert result.exit_code == 0 and "DDPM" in result.output, result.output
    generator = Generator.from_pretrained(tmp_path / "out")
    x = generator.sample(2, condition={"label": torch.tensor([0, 2])}, rng=torch.Generator().manual_seed(0))
    assert x.shape == (2, 3, 8, 8) and x.isfinite().all()
    x, t, y = torch.randn(1, 3, 8, 8), torch.tensor([7.0]), torch.tensor([2])
    torch.testing.assert_close(generator.network(x, t, y), adm.unet(weights, CONFIG, x, t, y), rtol=0, atol=5e-5)


def test_the_scripts_defaults():
    guided, improved = (ddpm(network(), f"{name}-diffusion/unet", {}).process.config for name in ("guided", "improved"))
    assert guided["steps"] == 1000 and guided["schedule"] == "linear" and guided["prediction"] == "eps"
    assert guided["variance"] == "learned_range" and not guided["rescale_steps"] and improved["rescale_steps"]
    fixed = ddpm(network(variance=False), "guided-diffusion/unet", {})
    assert fixed.process.variance == "fixed_large" and isinstance(fixed.solver, Ancestral) and fixed.solver.steps == ""


def test_the_scripts_flags():
    flags = {"diffusion_steps": 4000, "noise_schedule": "cosine", "predict_xstart": True, "sigma_small": True}
    flags |= {"rescale_timesteps": False, "timestep_respacing": 50, "use_ddim": True, "learn_sigma": False}
    made = ddpm(network(variance=False), "improved-diffusion/unet", {"constructor": {}, **flags})
    assert made.process.config | {"steps": 4000, "schedule": "cosine", "prediction": "x0"} == made.process.config
    assert made.process.variance == "fixed_small" and not made.process.config["rescale_steps"]
    assert isinstance(made.solver, DDIM) and made.solver.steps == "50"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"learn_sigma": False}, "config.learn_sigma: got False, but a network of 6 output channels learns"),
        ({"timestep_respacing": "ddim400"}, "config.timestep_respacing: .*ddim400"),
        ({"noise_schedule": "sqrt"}, "config.noise_schedule"),
        ({"diffusion_steps": 1}, "config.diffusion_steps"),
    ],
    ids=str,
)
def test_impossible_flags_are_refused_in_one_line(flags, message):
    with pytest.raises(WeightsError, match=message) as refusal:
        ddpm(network(), "guided-diffusion/unet", flags)
    assert "\n" not in str(refusal.value)


def test_a_classifier_knows_its_process(tmp_path):
    made = noisy_classifier(
        EncoderUNet(EncoderPlan(**TINY)), "guided-diffusion/classifier", {"noise_schedule": "cosine"}
    )
    assert made.process.same_noise(ddpm(network(), "guided-diffusion/unet", {"noise_schedule": "cosine"}).process)
    assert not made.process.same_noise(ddpm(network(), "guided-diffusion/unet", {}).process)
    assert isinstance(Pretrained.from_pretrained(made.save_pretrained(tmp_path)), NoisyClassifier)


def test_an_upsampler_samples_what_it_is_given(tmp_path):
    weights, x = adm.Weights(), torch.randn(1, 3, 8, 8)
    t, y, low = torch.tensor([7.0]), torch.tensor([2]), torch.rand(1, 3, 4, 4) * 2 - 1
    adm.super_resolution(weights, CONFIG, x, t, low, y)
    save_file(weights, tmp_path / "up.safetensors")
    layout, config = "guided-diffusion/super_resolution_unet", CONFIG | {"small_size": 4, "timestep_respacing": "3"}
    foreign.import_checkpoint(layout, tmp_path / "up.safetensors", config, tmp_path / "out")
    made = Generator.from_pretrained(tmp_path / "out")
    assert isinstance(made, Upsampler) and made.process.config["schedule"] == "linear" and made.solver.steps == "3"
    expected = adm.super_resolution(weights, CONFIG, x, t, low, y)
    torch.testing.assert_close(made.output(x, t, y, low_res=low), expected, rtol=0, atol=5e-5)
    found = made.sample(2, condition={"low_res": low, "label": 1}, rng=torch.Generator().manual_seed(0))
    assert found.shape == (2, 3, 8, 8) and found.isfinite().all()
