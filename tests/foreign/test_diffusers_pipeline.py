"""Export: plain diffusers loads the folder and walks the same chain."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMPipeline, DDPMPipeline, DDPMScheduler, UNet2DModel

from genkit.diffusion.multistep import DPMSolver
from genkit.diffusion.solvers import DDIM, Ancestral
from genkit.errors import WeightsError
from genkit.foreign import export_pipeline
from genkit.networks.unet import UNet
from tests.cli.console import refusal, run
from tests.foreign.pipelines import TINY, ddpm, noise, our_chain, their_chain

CLOSE = {"rtol": 0.0, "atol": 5e-4}
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("process", "steps", "taken"),
    [
        ({}, "", 20),
        ({"steps": 25, "schedule": "linear", "prediction": "v", "variance": "fixed_small"}, "", 25),
        ({"prediction": "x0"}, "5", 5),
        ({"variance": "learned_range"}, "ddim5", 5),
        ({"variance": "learned_range", "steps": 40}, "7", 7),
        ({"steps": 50, "schedule": [0.01 + 0.003 * i for i in range(50)]}, "10", 10),
    ],
)
def test_the_ancestral_chain(process: dict[str, Any], steps: str, taken: int, tmp_path: Path) -> None:
    generator = ddpm(Ancestral(steps), **{"steps": 20, **process})
    pipeline = DDPMPipeline.from_pretrained(export_pipeline(generator, tmp_path / "p"))
    given = noise(taken, 3, 1, 8, 8)
    ours, theirs = our_chain(generator, given), their_chain(pipeline, taken, given)
    torch.testing.assert_close(theirs, ours, **CLOSE)
    assert ours.std() > 0.1 and f"num_inference_steps={taken}" in (tmp_path / "p" / "README.md").read_text()


def test_the_variance_matters(tmp_path: Path) -> None:
    """What the comparison above would miss if it could not fail."""
    pipeline = DDPMPipeline.from_pretrained(export_pipeline(ddpm(Ancestral("5"), steps=20), tmp_path / "p"))
    given = noise(5, 3, 1, 8, 8)
    ours = our_chain(ddpm(Ancestral("5"), steps=20, variance="fixed_small"), given)
    assert (their_chain(pipeline, 5, given) - ours).abs().max() > 0.02


@pytest.mark.parametrize("eta", [0.0, 0.7])
@pytest.mark.parametrize("variance", ["fixed_large", "learned_range", "learned"])
def test_the_ddim_chain(eta: float, variance: str, tmp_path: Path) -> None:
    generator = ddpm(DDIM("ddim10", eta), steps=100, variance=variance)
    pipeline = DDIMPipeline.from_pretrained(export_pipeline(generator, tmp_path / "p"))
    assert pipeline.unet.config.out_channels == 1
    given = noise(10, 3, 1, 8, 8)
    theirs = their_chain(pipeline, 10, given, eta=eta, use_clipped_model_output=True)
    torch.testing.assert_close(theirs, our_chain(generator, given), **CLOSE)


def test_a_fixed_variance_over_a_network_that_learned_one(tmp_path: Path) -> None:
    generator = ddpm(Ancestral("5", variance="fixed_large"), steps=20, variance="learned_range")
    pipeline = DDPMPipeline.from_pretrained(export_pipeline(generator, tmp_path / "p"))
    given = noise(5, 3, 1, 8, 8)
    torch.testing.assert_close(their_chain(pipeline, 5, given), our_chain(generator, given), **CLOSE)


@pytest.mark.parametrize("resample", ["residual", "conv"])
def test_a_labelled_network_in_ones_own_loop(resample: str, tmp_path: Path) -> None:
    network = {"classes": 3, "unlabelled": True, "resample": resample, "heads": 2, "attention": []}
    generator = ddpm(Ancestral("5"), network=network, steps=20)
    folder, label, given = export_pipeline(generator, tmp_path / "p"), torch.tensor([0, 3, 2]), noise(5, 3, 1, 8, 8)
    ours = our_chain(generator, given, label)
    theirs = their_chain(DDPMPipeline.from_pretrained(folder), 5, given, label)
    torch.testing.assert_close(theirs, ours, **CLOSE)
    text = (folder / "README.md").read_text()
    assert "pass no labels" in text and '3 stands for "no label"' in text
    unet = UNet2DModel.from_pretrained(folder, subfolder="unet", use_safetensors=True)
    assert unet.config.num_class_embeds == 4
    DDPMScheduler.from_pretrained(folder, subfolder="scheduler")


@pytest.mark.parametrize("network", [{}, {"classes": 3}])
@pytest.mark.parametrize("solver", [Ancestral("5"), DDIM("ddim5")])
def test_the_code_of_the_readme_runs(network: dict[str, Any], solver: Any, tmp_path: Path) -> None:
    export_pipeline(ddpm(solver, network=network, steps=20), tmp_path / "p")
    code = re.search(r"```python\n(.*?)```", (tmp_path / "p" / "README.md").read_text(), re.DOTALL)
    assert code
    check = "assert len(images) == 4"
    subprocess.run([sys.executable, "-c", code[1] + check], cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("solver", "said"),
    [
        (DDIM("5"), "samples differ; write a solver with steps 'ddimN'"),
        (Ancestral("4,2"), "cannot take the 6 steps"),
        (DPMSolver(5), "The solver dpm_solver is not written"),
    ],
)
def test_what_differs_is_said(solver: Any, said: str, tmp_path: Path) -> None:
    assert said in (export_pipeline(ddpm(solver, steps=20), tmp_path / "p") / "README.md").read_text()


@pytest.mark.parametrize(
    ("network", "process", "said"),
    [
        ({"patch": 2, "attention": [2]}, {}, "only patch: 1 can be exported"),
        ({"resample": "pool"}, {}, "resampling without parameters"),
        ({"multipliers": [2, 2]}, {}, "needs a first one of 1"),
        ({"heads": 2, "attention": [8, 4]}, {}, "one number of heads at several widths"),
        ({"decoder_heads": 1, "attention": [8, 4]}, {}, "network.heads"),
        ({}, {"variance": "learned"}, "process.variance"),
        ({}, {"rescale_steps": True}, "process.rescale_steps"),
    ],
)
def test_what_diffusers_cannot_express(network: Any, process: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=said):
        export_pipeline(ddpm(network=network, **{"steps": 20, **process}), tmp_path / "p")
    assert not list(tmp_path.iterdir())


def test_a_used_folder_and_another_generator_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(WeightsError, match="not empty"):
        export_pipeline(ddpm(steps=20), tmp_path)
    with pytest.raises(WeightsError, match="only a ddpm"):
        export_pipeline(UNet(**TINY), tmp_path / "p")  # type: ignore[arg-type]


def test_the_command(capsys: Capture, tmp_path: Path) -> None:
    ddpm(steps=20).save_pretrained(tmp_path / "w")
    (tmp_path / "p").mkdir()
    ran = run(capsys, "export", tmp_path / "w", "--to", "diffusers", "--out", tmp_path / "p")
    assert ran.code == 0 and "README.md" in ran.out
    assert sorted(p.name for p in (tmp_path / "p").iterdir()) == ["README.md", "model_index.json", "scheduler", "unet"]
    assert "not empty" in refusal(capsys, "export", tmp_path / "w", "--to", "diffusers", "--out", tmp_path / "p")
    refusal(capsys, "export", tmp_path / "w", "--to", "onnx", "--out", tmp_path / "q")
