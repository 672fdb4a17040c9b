"""The command line with a VAE: likelihood, nearest neighbours, variations, other exemplars."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genkit.cli.given_images import read_image
from genkit.core.generator import Generator
from genkit.images import pixels as images
from genkit.images.grid import GAP
from genkit.vae.vae import VAE
from tests.cli.console import refusal, run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, size in zip(paths, (28, 40), strict=True):
        images.write_png(path, torch.rand(3, size, size) * 2 - 1)
    return paths


def test_likelihood(capsys: Capture, vae: Path, tmp_path: Path) -> None:
    arguments = ["likelihood", vae, "--against", "digits/test", "-n", 20, "--samples", 7]
    ran = run(capsys, *arguments, "--json", tmp_path / "a.json")
    assert ran.code == 0, ran
    for text in (
        "nats",
        "bits per dimension",
        "elbo",
        "importance-weighted lower bound, 7 samples",
        "effective sample",
    ):
        assert text in ran.out
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["values"]["nats"] < 0 and found["against"]["name"] == "digits/test" and len(found["rows"]) == 20
    run(capsys, *arguments, "--batch-size", 3, "--json", tmp_path / "b.json")
    again = json.loads((tmp_path / "b.json").read_text())
    assert again["nats_of_each"] == pytest.approx(found["nats_of_each"], rel=1e-5)
    assert "2 of 5 exemplars" in run(capsys, *arguments, "--nearest", 2).out


def test_likelihood_of_a_diffusion_model_counts_its_steps(capsys: Capture, tmp_path: Path) -> None:
    from tests.contracts.specs import DDPM, seeded

    folder = seeded({**DDPM, "network": {**DDPM["network"], "classes": 0, "unlabelled": False}}).save_pretrained(
        tmp_path
    )
    (tmp_path / "digits").mkdir()
    images.write_folder([torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)], tmp_path / "digits")
    arguments = ["likelihood", folder, "--against", tmp_path / "digits", "-n", 3]
    assert "variational lower bound, 20 steps" in run(capsys, *arguments).out
    assert "variational lower bound, 5 steps" in run(capsys, *arguments, "--steps", 5).out
    assert "takes no 'samples'; it takes: steps" in refusal(capsys, *arguments, "--samples", 3)


def test_knn(capsys: Capture, vae: Path, tmp_path: Path) -> None:
    arguments = ["knn", vae, "--train", "digits/train", "--test", "digits/test"]
    ran = run(capsys, *arguments, "-k", "1,3", "--json", tmp_path / "k.json")
    assert ran.code == 0 and "of 3 latent dimensions are active" in ran.out and "n = 4000 and 1000" in ran.out
    assert 0.15 < json.loads((tmp_path / "k.json").read_text())["values"]["k=3"] < 1
    assert "whole numbers" in refusal(capsys, *arguments, "-k", "one")
    assert "from 1 to the 4000" in refusal(capsys, *arguments, "-k", "4001")


def test_variations_and_ways_between(capsys: Capture, vae: Path, pictures: list[Path], tmp_path: Path) -> None:
    for name, option in (("like", ["--like", pictures[0]]), ("between", ["--between", *pictures])):
        for out, size in (("x", 64), ("y", 2)):
            ran = run(capsys, "sample", vae, *option, "-n", 5, "--batch-size", size, "--out", tmp_path / name / out)
            assert ran.code == 0 and "5 images" in ran.out, ran
        made = [[p.read_bytes() for p in sorted((tmp_path / name / out).glob("*.png"))] for out in "xy"]
        assert made[0] == made[1] and len(set(made[0])) == 5


def test_the_picture_shows_what_was_given(capsys: Capture, vae: Path, pictures: list[Path], tmp_path: Path) -> None:
    """An image stands before its variations; the way from one image to another is a strip with these at its ends."""
    side = 84 + GAP
    for given, shape in (pictures[:1], (2, 3)), (pictures, (1, 7)):
        out = tmp_path / str(len(given))
        assert run(capsys, "edit", vae, *given, "-n", 5, "--grid", "--out", out).code == 0
        tiles = np.pad(np.asarray(Image.open(out / "grid.png")), ((0, GAP), (0, GAP)))
        assert tiles.shape == (shape[0] * side, shape[1] * side)
        places = [(0, 0), (0, -side)][: len(given)]
        for path, (row, column) in zip(given, places, strict=True):
            shown = images.to_uint8(read_image(path, VAE.from_pretrained(vae)))
            assert np.array_equal(tiles[row : row + 84 : 3, column:][:, :84:3], shown[0])


def test_exemplars(capsys: Capture, vae: Path, tmp_path: Path) -> None:
    assert "5 exemplars of images" in run(capsys, "exemplars", vae).out
    ran = run(capsys, "exemplars", vae, "--extend", "digits/test", "--out", tmp_path / "more")
    assert ran.code == 0 and "1000 exemplars of digits/test" in ran.out and "1005 in all" in ran.out
    more = Generator.from_pretrained(tmp_path / "more")
    assert isinstance(more, VAE) and len(more.exemplars) == 1005
    run(capsys, "exemplars", vae, "--replace", "digits/test", "--out", tmp_path / "other")
    assert len(VAE.from_pretrained(tmp_path / "other").exemplars) == 1000


def test_refusals(capsys: Capture, vae: Path, pictures: list[Path], finished: Path, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "out"]
    assert "GAN cannot say how probable" in refusal(capsys, "likelihood", finished, "--against", "digits")
    assert "no latents" in refusal(capsys, "knn", finished, "--train", "digits", "--test", "digits")
    assert "--like needs a VAE" in refusal(capsys, "sample", finished, "--like", pictures[0], *out)
    assert "give one of" in refusal(capsys, "sample", vae, "--like", pictures[0], "--between", *pictures, *out)
    assert "does not exist" in refusal(capsys, "sample", vae, "--like", tmp_path / "no.png", *out)
    (tmp_path / "text.png").write_text("no image")
    assert "text.png" in refusal(capsys, "sample", vae, "--like", tmp_path / "text.png", *out)
    assert "label" in refusal(capsys, "sample", vae, "--like", pictures[0], "--label", 1, *out)
    assert "--out" in refusal(capsys, "exemplars", vae, "--replace", "digits")
    assert "nothing to write" in refusal(capsys, "exemplars", vae, *out)
    assert "digits" in refusal(capsys, "exemplars", vae, "--replace", "digit", *out)
    assert "is a GAN; what can be explained is a classifier, a StyleEx or an exemplar VAE" in refusal(
        capsys, "exemplars", finished
    )
    assert "-n, --grid and --json are of an IMAGE" in refusal(capsys, "explain", vae, "-n", 8)
    for given in (pictures[:1], ["--replace", "digits"], ["--sweep", "label"]):
        said = refusal(capsys, "edit", vae, *given, "--out", tmp_path / "p.webp")
        assert "a picture is a .png file, got 'p.webp'" in said
    replaced = ("edit", vae, "--replace", "digits", *out)
    for option in (["-n", 16], ["--seed", 0], ["--grid"], ["--batch-size", 2]):
        assert f"{option[0]} is of new images" in refusal(capsys, *replaced, *option)
    assert "at least 2" in refusal(capsys, "sample", vae, "--between", *pictures, "-n", 1, *out)


def test_what_is_done_to_an_image_of_another_size_is_told(capsys: Capture, vae: Path, tmp_path: Path) -> None:
    generator = VAE.from_pretrained(vae)
    for size, told in (((200, 40), "its middle square of 40 x 40 is reduced"), ((10, 10), "the image is enlarged")):
        path = tmp_path / f"{size[0]}.png"
        Image.new("L", size).save(path)
        read_image(path, generator)
        assert f"{size[0]} x {size[1]} pixels; {told}, as 28 x 28" in capsys.readouterr().out
