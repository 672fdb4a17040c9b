"""Command lines of earlier versions do what they did, by the commands of today; no help shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from genkit.images import pixels as images
from tests.cli.console import refusal, run

Capture = pytest.CaptureFixture[str]
DATA = "{type: part, data: {type: digits, split: test}, stop: 30}"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    images.write_folder([torch.randint(0, 256, (60, 1, 28, 28), dtype=torch.uint8)], folder)
    return folder


def result(path: Path) -> dict[str, Any]:
    return {key: value for key, value in json.loads(path.read_text()).items() if key != "seconds"}


@pytest.mark.parametrize(
    ("before", "today"),
    [
        (
            ("likelihood", "{vae}", "--against", "digits/test", "-n", 9, "--samples", 3),
            ("evaluate", "{vae}", "--against", "digits/test", "-n", 9, "--samples", 3, "--metrics", "likelihood"),
        ),
        (
            ("knn", "{vae}", "--train", "digits/test", "--test", "digits/test", "-k", "1,3"),
            ("evaluate", "{vae}", "--train", "digits/test", "--against", "digits/test", "-k", "1,3", "--metrics=knn"),
        ),
    ],
    ids=["likelihood", "knn"],
)
def test_scores(capsys: Capture, vae: Path, tmp_path: Path, before: tuple[Any, ...], today: tuple[Any, ...]) -> None:
    found = []
    for name, line in (("a.json", before), ("b.json", today)):
        ran = run(capsys, *(str(part).format(vae=vae) for part in line), "--json", tmp_path / name)
        assert ran.code == 0, ran
        found.append(result(tmp_path / name))
    assert found[0] == found[1] and found[0]["values"]


def test_outliers(capsys: Capture, pictures: Path, tmp_path: Path) -> None:
    quick = ("--steps", 2, "--size", 8, "--out")
    assert run(capsys, "outliers", pictures, *quick, tmp_path / "a.csv").code == 0
    assert run(capsys, "evaluate", pictures, "--metrics", "outliers", *quick, tmp_path / "b.csv").code == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize("given", [1, 2], ids=["like", "between"])
def test_images(capsys: Capture, vae: Path, pictures: Path, tmp_path: Path, given: int) -> None:
    paths = sorted(pictures.iterdir())[:given]
    option = "--like" if given == 1 else "--between"
    assert run(capsys, "sample", vae, option, *paths, "-n", 4, "--out", tmp_path / "a").code == 0
    ran = run(capsys, "edit", vae, *paths, "-n", 4, "--out", tmp_path / "b", "--grid")
    assert ran.code == 0 and "4 images" in ran.out, ran
    made = [[p.read_bytes() for p in sorted((tmp_path / name).glob("0*.png"))] for name in "ab"]
    assert made[0] == made[1] and len(set(made[0])) == 4 and (tmp_path / "b" / "grid.png").is_file()


def test_exemplars(capsys: Capture, vae: Path, tmp_path: Path) -> None:
    assert run(capsys, "exemplars", vae).out == run(capsys, "explain", vae).out
    for name in ("exemplars", "edit"):
        assert run(capsys, name, vae, "--replace", "digits/test", "--out", tmp_path / name).code == 0
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("exemplars", "edit")]
    assert files[0] == files[1]


def test_no_help_shows_them(capsys: Capture) -> None:
    for command in ([], ["evaluate"], ["edit"], ["sample"]):
        shown = run(capsys, *command, "--help").out
        for name in ("exemplars  ", "--test", "--run", "--like", "--between"):
            assert name not in shown, (command, name)
    assert "knn" not in run(capsys, "--help").out
    assert run(capsys, "exemplars", "--help").out.count("Usage:") == 2
    for name, other in (("edit", "--replace"), ("explain", "--json")):
        assert f"{name} [OPTIONS] WEIGHTS" in (both := run(capsys, "exemplars", "-h").out) and other in both
    assert "knn [OPTIONS] A" in run(capsys, "knn", "--help").out


def test_what_another_metric_would_need(capsys: Capture, vae: Path) -> None:
    line = ("evaluate", vae, "--against", "digits")
    assert "--share is for outliers, and likelihood needs" in refusal(
        capsys, *line, "--metrics", "likelihood", "--share", 0
    )
    assert "--samples is for likelihood, and features needs" in refusal(capsys, *line, "--samples", 4)
    assert "--steps is for diffusion models; this is a VAE" in refusal(capsys, *line, "--steps", 4)
    assert "--json is for" in refusal(capsys, "evaluate", "digits", "--metrics", "outliers", "--json", "x.json")
    assert "Missing option '--against'" in refusal(capsys, "evaluate", vae)
    assert "give --train DATA" in refusal(capsys, *line, "--metrics", "knn")


def test_edits_that_cannot_be(capsys: Capture, vae: Path, finished: Path, pictures: Path, tmp_path: Path) -> None:
    image, out = pictures / "000000.png", ("--out", tmp_path / "out")
    assert "--replace makes new weights" in refusal(capsys, "edit", vae, image, "--replace", "digits", *out)
    assert "got 3" in refusal(capsys, "edit", vae, image, image, image, *out)
    assert "nothing to write" in refusal(capsys, "edit", vae, *out)
    assert "--out FOLDER" in refusal(capsys, "edit", vae, image)
    assert "edit needs a VAE" in refusal(capsys, "edit", finished, image, *out)


def test_data_are_named_alike_everywhere(capsys: Capture, vae: Path, pictures: Path, tmp_path: Path) -> None:
    """A name, a spec and a folder, in every command that takes data."""
    for line in (
        ("evaluate", DATA, "--against", "digits/test", "--metrics", "fd", "-n", 30),
        ("evaluate", vae, "--against", DATA, "--metrics", "likelihood", "-n", 5, "--samples", 2),
        ("evaluate", vae, "--train", "digits/test", "--against", DATA, "--metrics", "knn"),
        ("edit", vae, "--replace", DATA, "--out", tmp_path / "new"),
        ("edit", vae, "--extend", pictures, "--out", tmp_path / "more"),
        ("stats", DATA, "--out", tmp_path / "part.npz"),
        ("evaluate", DATA.replace("30", "60"), "--metrics", "outliers", "--steps", 2),
    ):
        ran = run(capsys, *line)
        assert ran.code == 0, ran
    assert "30 exemplars" in run(capsys, "explain", tmp_path / "new").out
