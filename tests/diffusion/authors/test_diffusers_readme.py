"""The code in an exported folder's README.md runs as it stands, and makes genkit's images."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

from genkit.core.catalog import shipped
from genkit.core.generator import Generator
from genkit.diffusion.ddpm import DDPM
from genkit.diffusion.multistep import DPMSolver, UniPC
from genkit.diffusion.solvers import DDIM, Ancestral
from genkit.foreign import export_pipeline, import_checkpoint
from tests.diffusion.authors.pipelines import ddpm

DIFFUSION = ("ddpm", "classifier_guided", "classifier_free_guided")
SHIPPED = [
    folder.name
    for folder in sorted(shipped("weights").iterdir())
    if json.loads((folder / "config.json").read_text())["type"] in DIFFUSION
]
SAVE = """
import sys
import numpy
assert "genkit" not in sys.modules
numpy.save("images.npy", numpy.stack([numpy.asarray(image) for image in images]))
"""


def code(folder: Path) -> str:
    found = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1]


def pixels(generator: DDPM) -> np.ndarray[Any, Any]:
    """Pixels as README.md promises them: (4, H, W) or (4, H, W, 3), 8 bits."""
    condition = {"label": 1} if generator.conditions else None
    x = generator.sample(4, condition=condition, rng=torch.Generator().manual_seed(0))
    return ((x / 2 + 0.5) * 255).round().byte().permute(0, 2, 3, 1).squeeze(-1).numpy()


def check_equal(theirs: np.ndarray[Any, Any], ours: np.ndarray[Any, Any]) -> None:
    """Up to a level where the roundings of a chain meet an edge."""
    assert theirs.shape == ours.shape and ours.std() > 20
    away = np.abs(theirs.astype(int) - ours.astype(int))
    assert away.max() <= 1 and away.mean() < 0.01


def test_there_is_a_shipped_diffusion_model() -> None:
    assert "fashion-mnist-ddpm" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model(name: str, tmp_path: Path, own_module_cache: None) -> None:
    generator = Generator.from_pretrained(name)
    assert isinstance(generator, DDPM)
    folder = export_pipeline(generator, tmp_path / name)
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    environment.pop("PYTHONPATH", None)
    subprocess.run([sys.executable, "-c", code(folder) + SAVE], cwd=tmp_path, check=True, env=environment)
    again = import_checkpoint("diffusers/pipeline", folder, None, tmp_path / "w")
    assert again.config == generator.config
    check_equal(np.load(tmp_path / "images.npy"), pixels(again))  # type: ignore[arg-type]
    check_network(DiffusionPipeline.from_pretrained(folder, trust_remote_code=True), generator)


@torch.no_grad()
def check_network(pipeline: Any, generator: DDPM) -> None:
    x, steps = torch.randn(3, *generator.sample_shape), generator.process.steps
    for t in (0, steps // 2, steps - 1):
        for label in range(generator.network.classes + generator.network.unlabelled):
            y = torch.full((3,), label)
            ours, theirs = generator.network(x, torch.full((3,), float(t)), y), pipeline.predict(x, torch.tensor(t), y)
            torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("solver", "network", "name"),
    [
        (Ancestral("5"), {"channels": 3}, "p"),
        (Ancestral("5"), {"classes": 3}, 'it\'s "mine" \\ ü'),
        (DDIM("ddim5", 0.5), {}, "p"),
        (DDIM("7"), {}, "p"),
        (DPMSolver(5), {}, "p"),
        (UniPC(5), {}, "p"),
    ],
)
def test_other_models(
    solver: Any, network: dict[str, Any], name: str, tmp_path: Path, own_module_cache: None, monkeypatch: Any
) -> None:
    generator = ddpm(solver, network=network, steps=100, prediction="x0")
    folder, scope = export_pipeline(generator, tmp_path / name), dict[str, Any]()
    monkeypatch.chdir(tmp_path)
    exec(code(folder), scope)
    check_equal(np.stack([np.asarray(image) for image in scope["images"]]), pixels(generator))


def test_what_labels_do_is_said(tmp_path: Path) -> None:
    generator = ddpm(network={"classes": 3, "unlabelled": True}, steps=20)
    text = (export_pipeline(generator, tmp_path / "p") / "README.md").read_text()
    assert "0 to 2, or none" in text and 'label 3 stands for "no label"' in text and "guidance_scale" in text
    plain = (export_pipeline(ddpm(steps=20), tmp_path / "q") / "README.md").read_text()
    assert "label" not in plain and "trust_remote_code" not in plain
