"""Import: pipelines that diffusers wrote sample the same here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMPipeline, DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel
from safetensors.torch import load_file

from genkit.core.errors import WeightsError
from genkit.core.generator import Generator
from genkit.diffusion.solvers import DDIM, Ancestral
from genkit.foreign import export_pipeline, import_checkpoint
from tests.cli.console import refusal, run
from tests.diffusion.authors.pipelines import GOOGLE, ddpm, noise, our_chain, their_chain
from tests.foreign.test_authors_checkpoint import Malicious

CLOSE = {"rtol": 0.0, "atol": 5e-4}
Capture = pytest.CaptureFixture[str]


def their_unet(**settings: Any) -> UNet2DModel:
    torch.manual_seed(0)
    return UNet2DModel(**{k: v for k, v in {**GOOGLE, **settings}.items() if not k.startswith("_")}).eval()


def imported(folder: Path, tmp_path: Path) -> Any:
    import_checkpoint("diffusers/pipeline", folder, None, tmp_path / "w")
    return Generator.from_pretrained(tmp_path / "w")


@pytest.mark.parametrize(
    ("scheduler", "schedule"),
    [
        ({"num_train_timesteps": 1000, "variance_type": "fixed_large"}, "linear"),
        ({"num_train_timesteps": 30, "beta_schedule": "linear", "beta_end": 0.3}, list),
        ({"num_train_timesteps": 30, "beta_schedule": "scaled_linear", "beta_end": 0.3}, list),
        ({"num_train_timesteps": 30, "beta_schedule": "squaredcos_cap_v2", "variance_type": "fixed_large"}, "cosine"),
        ({"num_train_timesteps": 30, "beta_schedule": "sigmoid", "beta_end": 0.3}, list),
        ({"num_train_timesteps": 30, "trained_betas": [0.01 * i for i in range(1, 31)]}, list),
        ({"num_train_timesteps": 30, "prediction_type": "v_prediction", "variance_type": "fixed_small_log"}, list),
    ],
)
def test_a_ddpm_pipeline(scheduler: dict[str, Any], schedule: Any, tmp_path: Path) -> None:
    pipeline = DDPMPipeline(their_unet(), DDPMScheduler(**scheduler))
    pipeline.save_pretrained(tmp_path / "p")
    ours, steps = imported(tmp_path / "p", tmp_path), min(scheduler["num_train_timesteps"], 30)
    found = ours.process.config["schedule"]
    assert isinstance(found, list) if schedule is list else found == schedule
    ours.solver.steps = "" if len(ours.process) == steps else "ddim25"
    steps = steps if len(ours.process) == steps else 25
    given = noise(steps, 2, 3, 8, 8)
    torch.testing.assert_close(our_chain(ours, given), their_chain(pipeline, steps, given), **CLOSE)


@pytest.mark.parametrize("scheduler", [{}, {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "sample"}])
def test_a_ddim_pipeline(scheduler: dict[str, Any], tmp_path: Path) -> None:
    pipeline = DDIMPipeline(their_unet(), DDIMScheduler(num_train_timesteps=100, **scheduler))
    pipeline.save_pretrained(tmp_path / "p")
    ours, given = imported(tmp_path / "p", tmp_path), noise(50, 2, 3, 8, 8)
    theirs = their_chain(pipeline, 50, given, use_clipped_model_output=True)
    torch.testing.assert_close(our_chain(ours, given), theirs, **CLOSE)
    assert "use_clipped_model_output=True" in (tmp_path / "w" / "README.md").read_text()


@pytest.mark.parametrize(
    ("pipeline", "scheduler", "solver", "steps"),
    [
        (DDPMPipeline, DDPMScheduler(), Ancestral, ""),
        (DDPMPipeline, DDPMScheduler(num_train_timesteps=2000, beta_end=0.01), Ancestral, "ddim1000"),
        (
            DDPMPipeline,
            DDPMScheduler(num_train_timesteps=2000, beta_end=0.01, timestep_spacing="linspace"),
            Ancestral,
            "1000",
        ),
        (DDPMPipeline, DDIMScheduler(), DDIM, ""),
        (DDIMPipeline, DDIMScheduler(), DDIM, "ddim50"),
        (DDIMPipeline, DDPMScheduler(variance_type="fixed_large"), DDIM, "ddim50"),
        (DDIMPipeline, DDIMScheduler.from_config(DDPMScheduler(variance_type="learned").config), DDIM, "ddim50"),
        (DDIMPipeline, DDIMScheduler(num_train_timesteps=20), DDIM, ""),
    ],
)
def test_the_solver_is_what_theirs_is_when_called(
    pipeline: Any, scheduler: Any, solver: type, steps: str, tmp_path: Path
) -> None:
    pipeline(their_unet(), scheduler).save_pretrained(tmp_path / "p")
    ours = imported(tmp_path / "p", tmp_path)
    assert type(ours.solver) is solver and ours.solver.steps == steps


def test_a_spacing_that_genkit_does_not_have_is_said(tmp_path: Path) -> None:
    scheduler = DDIMScheduler(num_train_timesteps=100, timestep_spacing="trailing", set_alpha_to_one=False)
    DDIMPipeline(their_unet(), scheduler).save_pretrained(tmp_path / "p")
    assert imported(tmp_path / "p", tmp_path).solver.steps == "50"
    text = (tmp_path / "w" / "README.md").read_text()
    assert "trailing spacing" in text and "set_alpha_to_one" in text


def test_labels(tmp_path: Path) -> None:
    unet = their_unet(num_class_embeds=4)
    pipeline = DDPMPipeline(unet, DDPMScheduler(num_train_timesteps=20))
    pipeline.save_pretrained(tmp_path / "p")
    ours, given, label = imported(tmp_path / "p", tmp_path), noise(20, 2, 3, 8, 8), torch.tensor([1, 3])
    torch.testing.assert_close(our_chain(ours, given, label), their_chain(pipeline, 20, given, label), **CLOSE)
    assert ours.sample(1, condition={"label": 3}).shape == (1, 3, 8, 8)


def test_the_oldest_layout_with_its_names_and_a_torch_file(tmp_path: Path) -> None:
    """As google/ddpm-cifar10-32 lies on the hub: one folder, attention's old names, diffusion_pytorch_model.bin."""
    unet, folder = their_unet(), tmp_path / "p"
    folder.mkdir()
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = {}
    for name, tensor in unet.state_dict().items():
        for new, former in old.items():
            name = name.replace(f".{new}.", f".{former}.")
        state[name] = tensor
    assert state.keys() != unet.state_dict().keys()
    torch.save(state, folder / "diffusion_pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(GOOGLE))
    betas = {"_class_name": "DDPMScheduler", "num_train_timesteps": 1000, "trained_betas": None, "clip_sample": True}
    (folder / "scheduler_config.json").write_text(json.dumps({**betas, "variance_type": "fixed_large"}))
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "DDPMPipeline"}))
    ours, x, t = imported(folder, tmp_path), noise(2, 3, 8, 8), torch.tensor([7.0, 900.0])
    with torch.no_grad():
        torch.testing.assert_close(ours.network(x, t), unet(x, t).sample, rtol=0, atol=1e-5)


def test_there_and_back(tmp_path: Path) -> None:
    first = ddpm(steps=20, variance="learned_range")
    again = imported(export_pipeline(first, tmp_path / "p"), tmp_path)
    given = noise(20, 2, 1, 8, 8)
    torch.testing.assert_close(our_chain(again, given), our_chain(first, given), rtol=0, atol=0)
    assert again.process.config["schedule"] == "cosine"
    export_pipeline(again, tmp_path / "q")
    assert (
        load_file(tmp_path / "q/unet/diffusion_pytorch_model.safetensors").keys()
        == first.network.unet.state_dict().keys()
    )


def saved(tmp_path: Path) -> Path:
    DDPMPipeline(their_unet(), DDPMScheduler(num_train_timesteps=20)).save_pretrained(tmp_path / "p")
    return tmp_path / "p"


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("file", "changes", "said"),
    [
        ("model_index.json", {"_class_name": "StableDiffusionPipeline"}, r"config.pipeline: .*'DDPMPipeline'"),
        ("scheduler/scheduler_config.json", {"clip_sample": False}, "config.scheduler.clip_sample"),
        ("scheduler/scheduler_config.json", {"_class_name": "PNDMScheduler"}, "DDIMScheduler"),
        ("scheduler/scheduler_config.json", {"variance_type": "learned"}, "config.scheduler.variance_type"),
        ("scheduler/scheduler_config.json", {"variance_type": "learned_range"}, "config: the process learns"),
        ("scheduler/scheduler_config.json", {"trained_betas": [0.1, 0.2]}, "20 steps need 20 betas"),
        ("scheduler/scheduler_config.json", {"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr"),
        ("unet/config.json", {"out_channels": 4}, "settings.out_channels"),
        ("unet/config.json", {"sample_size": None}, "settings.sample_size"),
        ("unet/config.json", {"block_out_channels": [16, 48]}, "of another shape"),
        ("unet/config.json", {"norm_num_groups": 5}, "cannot be built"),
        ("unet/config.json", {"down_block_types": ["Other", "DownBlock2D"]}, "cannot be built"),
        ("unet/config.json", {"num_clas_embeds": 3}, "did you mean 'num_class_embeds'"),
        ("unet/config.json", {"time_embedding_type": "learned", "num_train_timesteps": 20}, "time_embedding_type"),
    ],
)
def test_what_cannot_be_had_is_one_line(file: str, changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    folder = saved(tmp_path)
    rewrite(folder / file, **changes)
    with pytest.raises(WeightsError, match=said) as refused:
        import_checkpoint("diffusers/pipeline", folder, None, tmp_path / "w")
    assert "\n" not in str(refused.value) and not (tmp_path / "w").exists()


def test_pickles_with_code_never_run(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    (folder / "unet/diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"in one file; found: config.json"):
        import_checkpoint("diffusers/pipeline", folder, None, tmp_path / "w")
    torch.save({"x": Malicious(tmp_path / "sentinel")}, folder / "unet/diffusion_pytorch_model.bin")
    with pytest.raises(WeightsError, match="could run code"):
        import_checkpoint("diffusers/pipeline", folder, None, tmp_path / "w")
    assert not (tmp_path / "sentinel").exists()


def empty_folder(path: Path) -> Path:
    (path / "empty").mkdir()
    return path / "empty"


def test_the_command(capsys: Capture, tmp_path: Path) -> None:
    folder = saved(tmp_path)
    ran = run(capsys, "import", "diffusers/pipeline", folder, "--out", tmp_path / "w")
    assert ran.code == 0 and "DDPM" in ran.out
    out = ["--out", tmp_path / "v"]
    assert "leave out config" in refusal(
        capsys, "import", "diffusers/pipeline", folder, "--config", folder / "model_index.json", *out
    )
    assert "model_index.json" in refusal(capsys, "import", "diffusers/pipeline", empty_folder(tmp_path), *out)
    assert "give a pipeline's folder" in refusal(
        capsys, "import", "diffusers/pipeline", folder / "model_index.json", *out
    )
    (folder / "model_index.json").write_text("[1")
    assert "cannot be read as JSON" in refusal(capsys, "import", "diffusers/pipeline", folder, *out)
    assert "needs a config" in refusal(capsys, "import", "ppogan/generator", folder / "x.pt", *out)
