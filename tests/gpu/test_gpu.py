"""On a GPU: `GENKIT_TEST_GPU=0 pytest tests/gpu`. The rest of the suite hides it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.run_contents import contents
from benchmarks.small_recipes import read, shrunk
from genkit.core.batch_noise import SMALL, BatchNoise, Part
from genkit.evaluation.extractors.resize import clean
from genkit.training.recipe_file import shipped_recipes

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="set GENKIT_TEST_GPU to the number of a GPU")
STEPS, CHECKPOINT = 8, 2


def started(recipe: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "genkit", "train", str(recipe), "--out", str(out), "--resume"]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ})


def finished(recipe: Path, out: Path) -> None:
    run = started(recipe, out)
    said, _ = run.communicate()
    assert run.returncode == 0, said


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_killed_run_goes_on_to_the_same_weights(name: str, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(shrunk(read(name), STEPS, CHECKPOINT), sort_keys=False), encoding="utf-8")
    finished(recipe, tmp_path / "straight")
    run = started(recipe, tmp_path / "killed")
    while run.poll() is None and not list((tmp_path / "killed").rglob(f"step-{CHECKPOINT:08d}/manifest.json")):
        pass
    run.send_signal(signal.SIGKILL)
    run.wait()
    finished(recipe, tmp_path / "killed")
    assert contents(tmp_path / "killed") == contents(tmp_path / "straight")


@pytest.mark.parametrize("rows", [1, 8, 24])
def test_noise_of_a_part_is_that_of_the_whole(rows: int) -> None:
    device = torch.device("cuda")
    whole = BatchNoise(3).normal(Part(0, 24, 24), SMALL, device=device)
    parts = [BatchNoise(3).normal(Part(i, rows, 24), SMALL, device=device) for i in range(0, 24, rows)]
    assert torch.cat(parts).equal(whole)


@pytest.mark.parametrize("shape", [(3000, 1), (1, 3000), (4000, 4000), (28, 28), (300, 299)])
def test_resizing_is_that_of_the_cpu(shape: tuple[int, int]) -> None:
    images = torch.randint(256, (2, 3, *shape), dtype=torch.uint8)
    for size in (16, 28, 299):
        torch.testing.assert_close(clean(images.cuda(), size).cpu(), clean(images, size), atol=1e-3, rtol=0)
