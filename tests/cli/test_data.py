"""Messages about data on the way from files to samples: classes by name, conversions, odd files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.small_recipes import read, shrunk
from genkit.images.pixels import write_folder, write_png
from genkit.training import train
from tests.cli.console import refusal, run

Capture = pytest.CaptureFixture[str]
WEIGHTS = "fashion-mnist-exemplar-vae"
UNLABELLED = ("system.generator.network.classes=0", "system.critic.classes=0")


@pytest.fixture(scope="module")
def animals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey pictures in two class folders."""
    path = tmp_path_factory.mktemp("data") / "animals"
    for value in range(8):
        write_png(path / ("cat" if value % 2 else "dog") / f"{value}.png", torch.full((1, 28, 28), 30 * value).byte())
    return path


@pytest.fixture(scope="module")
def recipe(animals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = shrunk(read("digits/wgan_ratio_clipping"))
    tree["data"] = {"type": "folder", "path": str(animals), "size": 28, "channels": 1}
    tree["system"]["generator"]["network"]["classes"] = tree["system"]["critic"]["classes"] = 2
    path = tmp_path_factory.mktemp("recipes") / "animals.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return path


def test_class_names_arrive_wherever_labels_do(capsys: Capture, recipe: Path, tmp_path: Path) -> None:
    folder = train(recipe, tmp_path / "run")
    assert json.loads((folder / "weights" / "config.json").read_text())["class_names"] == ["cat", "dog"]
    assert json.loads((folder / "environment.json").read_text())["classes"] == ["cat", "dog"]
    assert "4 columns a class: 0: cat, 1: dog" in (folder / "report.html").read_text()
    for subject in (folder, folder / "weights"):
        assert "0: cat, 1: dog" in run(capsys, "info", subject).out
    for given, out in (("dog", "a"), ("1", "b")):
        ran = run(capsys, "sample", folder, "-n", 2, "--label", given, "--out", tmp_path / out)
        assert ran.code == 0 and "label 1: dog" in ran.out, ran
    assert (tmp_path / "a" / "000000.png").read_bytes() == (tmp_path / "b" / "000000.png").read_bytes()
    assert "did you mean 'dog'" in refusal(capsys, "sample", folder, "--label", "dogs", "--out", tmp_path / "c")


def test_papers_are_not_cited_for_a_class_of_their_name(capsys: Capture, recipe: Path, tmp_path: Path) -> None:
    folder = train(recipe, tmp_path / "run")
    path = folder / "weights" / "config.json"
    before = run(capsys, "cite", folder / "weights").out
    path.write_text(json.dumps(json.loads(path.read_text()) | {"class_names": ["inception", "vae"]}))
    assert run(capsys, "cite", folder / "weights").out == before


def test_a_stray_image_is_told_by_all(capsys: Capture, recipe: Path, animals: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for path in animals.rglob("*.png"):
        write_png(copy / path.relative_to(animals), torch.zeros(1, 28, 28))
    write_png(copy / "sheet.png", torch.zeros(1, 28, 28))
    where = f"data.path={copy}"
    assert "sheet.png lies beside" in refusal(capsys, "train", recipe, where, "--out", tmp_path / "a")
    for more in (("--dry-run",), ("--out", tmp_path / "b")):
        ran = run(capsys, "train", recipe, where, *UNLABELLED, *more)
        assert ran.code == 0 and "has no labels: sheet.png lies beside" in ran.out, ran


def test_conversions_are_told_while_training(capsys: Capture, recipe: Path, tmp_path: Path) -> None:
    write_folder([torch.randint(0, 256, (8, 3, 28, 28), dtype=torch.uint8)], tmp_path / "colour")
    ran = run(capsys, "train", recipe, f"data.path={tmp_path / 'colour'}", *UNLABELLED, "--out", tmp_path / "run")
    assert "8 images; converted: 8 colour to grey" in ran.out, ran


def test_scale_0_says_what_it_is(capsys: Capture, tmp_path: Path) -> None:
    options = ("-n", 1, "--label", 7, "--scale", 0, "--steps", 2, "--out", tmp_path / "z")
    line = refusal(capsys, "sample", "fashion-mnist-ddpm", *options)
    assert "scale 0 samples without a label; 1 is the plain conditional model" in line


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_paths_that_never_end_are_refused(capsys: Capture, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "endless.png"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    settings = tmp_path / "settings.yaml"
    settings.symlink_to(path)
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "model_index.json").symlink_to(path)
    weights = tmp_path / "weights.safetensors"
    weights.touch()
    for arguments in (
        ("sample", WEIGHTS, "--like", path, "--out", tmp_path / "out"),
        ("sample", WEIGHTS, "--between", path, path, "--out", tmp_path / "out"),
        ("evaluate", path, "--against", "digits"),
        ("evaluate", "digits", "--against", path),
        ("evaluate", "digits", "--against", "digits", "--extractor", "inception", "--extractor-weights", path),
        ("evaluate", "digits", "--against", "digits", "--extractor", path),
        ("stats", path, "--out", tmp_path / "x.npz"),
        ("outliers", path),
        ("outliers", "digits", "--run", path),
        ("bench", settings),
        ("train", settings),
        ("info", path),
        ("import", "guided-diffusion/unet", weights, "--config", settings, "--out", tmp_path / "out"),
        ("import", "guided-diffusion/unet", path, "--config", settings, "--out", tmp_path / "out"),
        ("import", "diffusers/pipeline", tmp_path / "pipeline", "--out", tmp_path / "out"),
        ("exemplars", WEIGHTS, "--replace", path, "--out", tmp_path / "out"),
    ):
        refusal(capsys, *arguments)


def test_a_run_that_makes_other_channels_is_told(capsys: Capture, tmp_path: Path) -> None:
    tree = shrunk(read("digits/robust_wgan_closed_form"))
    tree["data"] = {"type": "digits", "split": "test", "size": 16, "channels": 3}
    for network in (tree["system"]["generator"]["network"], tree["system"]["critic"]):
        network["channels"] = 3
    (tmp_path / "colour.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    made = train(tmp_path / "colour.yaml", tmp_path / "run")
    ran = run(capsys, "outliers", "digits/test", "--run", made)
    assert "digits: grey images are taken as colour, with three equal channels" in ran.out, ran
