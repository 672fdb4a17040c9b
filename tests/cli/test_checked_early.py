"""Arguments are refused, in one line, before the first sample is drawn or the first file decoded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from genkit.cli.main import main
from genkit.core.generator import Generator
from genkit.data import digits
from genkit.evaluation.extractors.extractor import Extractor
from genkit.images import image_files
from genkit.images.pixels import write_folder
from tests.cli.console import refusal
from tests.contracts.specs import DDPM, NOISY, seeded

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights, images, statistics, a file and bench files."""
    here = tmp_path_factory.mktemp("early")
    seeded(DDPM).save_pretrained(here / "ddpm")
    seeded({"type": "vae", "network": {"type": "vae_network", "size": 8, "latent_dim": 3, "width": 8}}).save_pretrained(
        here / "vae"
    )
    seeded({"type": "classifier", "size": 8, "width": 4}).save_pretrained(here / "judge")
    seeded({**NOISY, "process": {"type": "process", "steps": 30}}).save_pretrained(here / "other_process")
    write_folder([torch.randint(0, 256, (6, 1, 8, 8), dtype=torch.uint8)], here / "six")
    (here / "file").write_text("a file")
    (here / "loud").mkdir()
    (here / "bench.yaml").write_text(
        "{against: six, n: 5, metrics: [fd], entries: [{name: a, source: ddpm}, {name: b, source: /no}]}"
    )
    (here / "kds.yaml").write_text("{against: six, n: 99, metrics: [kds], entries: [{name: a, source: ddpm}]}")
    return here


@pytest.fixture(autouse=True)
def nothing_is_done(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, inputs: Path, tmp_path: Path
) -> None:
    monkeypatch.chdir(inputs)
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    if not (inputs / "six.npz").exists():
        assert main(["stats", "six", "--extractor", "judge", "--out", "six.npz"]) == 0

    def fail(*_: object, **__: object) -> object:
        raise AssertionError("work was done")

    for cls in [
        Generator,
        *Generator.__subclasses__(),
        *(s for c in Generator.__subclasses__() for s in c.__subclasses__()),
    ]:
        if "_sample" in vars(cls):
            monkeypatch.setattr(cls, "_sample", fail)
    monkeypatch.setattr(image_files, "decode", fail)
    monkeypatch.setattr(digits, "_embedded", fail)
    monkeypatch.setattr(Extractor, "__call__", fail)


CASES: list[tuple[str, str]] = [
    (
        "evaluate ddpm --against six --extractor judge --metrics kds -n 100",
        "at least 1000 are needed; kd takes all pairs",
    ),
    ("evaluate ddpm --against six --extractor judge --metrics dc -n 5", "got 5 samples, at least 7"),
    ("evaluate ddpm --against six --extractor judge --metrics dc -n 50", "six: got 6 samples, at least 7"),
    ("evaluate ddpm --against six.npz --metrics fd,pr -n 50", "six holds a mean and a covariance only"),
    (
        "evaluate ddpm --against six.npz --metrics fd -n 50 --extractor efficientnet-lite0",
        "statistics of extractor judge",
    ),
    ("evaluate ddpm --against six --metrics is -n 50", "the extractor gives features alone"),
    ("evaluate ddpm --against six --metrics fd,accuracy -n 50", "accuracy is asked for alone"),
    (
        "evaluate judge --against digits --metrics accuracy --extractor judge",
        "--extractor says how samples or features are made",
    ),
    ("evaluate judge --against digits --metrics accuracy", "samples of digits are [1, 28, 28], wanted [1, 8, 8]"),
    ("evaluate ddpm --against swiss_roll -n 50", "holds images, but extractor points takes points"),
    ("evaluate digits --against nowhere", "the reference: no file, folder, weights or data set 'nowhere'"),
    ("evaluate digits --against digits/tset", "the reference.split"),
    ("evaluate digits --against six --solver ddim", "how samples are made, and 'digits' has none to make"),
    ("evaluate clean-fid:cifar10/train --against six --steps 5", "and 'clean-fid:cifar10/train' has none to make"),
    ("evaluate ddpm --against six --truncation 0.5", "--truncation is for GANs with styles; this is a DDPM"),
    ("evaluate ddpm --against six --metrics likelihood --solver ddim", "--solver says how samples or features"),
    ("evaluate ddpm --against six --extractor judje", "no extractor 'judje'"),
    ("evaluate ddpm --against six --extractor inception --extractor-weights none.pth", "none.pth does not exist"),
    ("evaluate ddpm --against six --json loud", "cannot write loud: it is a folder"),
    ("evaluate ddpm --against six --json file/x.json", "file is no folder"),
    ("stats digits --out x.csv", "'x.csv' should end with .npz"),
    ("stats digits --out file/x.npz", "file is no folder"),
    ("stats digits --out x.npz --extractor nothing", "no extractor 'nothing'"),
    ("stats ddpm --out x.npz --extractor judge", "has no end; give a number n of samples"),
    ("likelihood ddpm --against digits/none", "--against.split: input should be"),
    ("likelihood ddpm --against digits", "wanted [1, 8, 8]; give {type: digits, size: 8, channels: 1}"),
    ("likelihood ddpm --against six --samples 3", "takes no 'samples'"),
    ("likelihood ddpm --against six --steps 500", "500"),
    ("likelihood ddpm --against six --json loud", "it is a folder"),
    ("knn vae --train digits --test digits", "the training set: samples of digits are"),
    ("knn vae --train six --test nowhere", "the test set: no file, folder or data set 'nowhere'"),
    ("knn vae --train six --test six -k 0", "k must be numbers from 1"),
    ("knn nowhere --train six --test six -k one", "whole numbers with commas"),
    ("knn vae --train six --test six --json file/x", "file is no folder"),
    ("outliers digits --share 0.7", "0.5"),
    ("outliers digits --out loud", "it is a folder"),
    ("outliers digits --grid file/x.png", "file is no folder"),
    ("outliers digits --run nowhere", "nowhere is no run folder"),
    ("outliers digits --run nowhere --steps 3", "--steps is for training"),
    ("exemplars nowhere --replace six", "--out"),
    ("exemplars vae --replace six --extend nowhere --out new", "--extend: no file, folder or data set 'nowhere'"),
    ("exemplars vae --replace digits --out file", "it is a file, and a folder is wanted"),
    ("bench bench.yaml --out new", "b: /no does not exist"),
    ("bench kds.yaml --out new", "metric kds"),
    ("bench bench.yaml --out file", "it is a file, and a folder is wanted"),
    ("sample ddpm --out file", "it is a file, and a folder is wanted"),
    ("sample ddpm --out file/x", "file is no folder"),
    ("sample ddpm --label 10 --out new", "takes 0 to 9, got 10"),
    ("sample ddpm --classifier other_process --label 1 --out new", "trained on another process"),
    ("train digits/wgan_ratio_clipping --out file", "it is a file, and a folder is wanted"),
    ("train digits/wgan_ratio_clipping data.size=32 --out new", "[1, 32, 32]"),
    ("train digits/wgan_ratio_clipping data.sise=32 --dry-run", "data.sise: unknown key"),
    ("train digits/wgan_ratio_clipping optimizers.judge={type:\u00a0adam} --dry-run", "optimizers.judge"),
    ("train digits/wgan_ratio_clipping evaluate.n=4 --dry-run", "metric pr: the number of samples: got 4"),
    ("export ddpm --to diffusers --out file", "it is a file, and a folder is wanted"),
    ("import ppogan/generator nothing.pt --out file/x", "file is no folder"),
]


@pytest.mark.parametrize(("line", "named"), CASES, ids=[line for line, _ in CASES])
def test_refused_before_any_work(capsys: Capture, inputs: Path, line: str, named: str) -> None:
    told = refusal(capsys, *(part.replace("\u00a0", " ") for part in line.split(" ")))
    assert named in told, told
    assert not (inputs / "new").exists()


def test_a_run_that_is_there_is_not_prepared_again(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: other")
    assert "holds a run already" in refusal(capsys, "train", "digits/wgan_ratio_clipping", "--out", tmp_path)


def test_a_place_without_permission(capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The superuser may write everywhere, so the answer of the system is given here."""
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, *how, **more: Path(path) != tmp_path and allowed(path, *how, **more))
    told = refusal(capsys, "sample", "ddpm", "--out", tmp_path / "deep" / "er")
    assert f"no permission to write to {tmp_path}" in told
