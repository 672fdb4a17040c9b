"""genkit score-images: a CSV of what weights say of each image."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genkit.core.generator import Generator
from genkit.data.digits import digits
from genkit.images.pixels import write_png
from tests.cli.console import refusal, run
from tests.contracts.specs import GAUSSIAN_VAE, VAEBM, seeded


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seeded(VAEBM).save_pretrained(tmp_path_factory.mktemp("weights") / "vaebm")


Capture = pytest.CaptureFixture[str]


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


SPEC = "{type: part, data: {type: digits, split: test, size: 8}, stop: 7}"


def test_rows_of_a_data_set(capsys: Capture, weights: Path, tmp_path: Path) -> None:
    outcome = run(capsys, "score-images", weights, SPEC, "--out", tmp_path / "a.csv")
    assert outcome.code == 0, outcome.err
    rows, x = read(tmp_path / "a.csv"), digits("test", size=8).rows(torch.arange(7))
    assert list(rows[0]) == ["row", "energy", "decoder_bound", "unnormalised_log_prob", "outlier_score"]
    expected = Generator.from_pretrained(weights).image_scores(x, rng=torch.Generator().manual_seed(0))
    for name, values in expected.items():
        assert [float(row[name]) for row in rows] == pytest.approx(values.tolist(), rel=1e-4)
    worst = int(expected["outlier_score"].argmax())
    assert f"7 images in {tmp_path / 'a.csv'}; most unusual: row {worst}, " in outcome.out
    again = run(capsys, "score-images", weights, SPEC, "--batch-size", 2, "--out", tmp_path / "b.csv")
    assert again.code == 0
    for one, other in zip(rows, read(tmp_path / "b.csv"), strict=True):
        assert float(one["outlier_score"]) == pytest.approx(float(other["outlier_score"]), rel=1e-4)


def test_files_are_named(capsys: Capture, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for i, name in enumerate(("=cmd.png", "b.png")):
        write_png(tmp_path / "images" / name, digits("test", size=8).x[i])
    outcome = run(capsys, "score-images", weights, tmp_path / "images", "--out", tmp_path / "a.csv")
    assert outcome.code == 0, outcome.err
    assert {row["file"] for row in read(tmp_path / "a.csv")} == {"'=cmd.png", "b.png"}


def test_it_says_what_was_done_to_images(capsys: Capture, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    rows = {"as it is": (1, 8, 8), "wide": (1, 8, 9), "large": (3, 20, 20)}
    for name, shape in rows.items():
        write_png(tmp_path / "images" / f"{name}.png", torch.zeros(shape, dtype=torch.uint8))
    levels = np.arange(64, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(levels).save(tmp_path / "images" / "dark.png")
    for _ in ("decoded", "as decoded before"):
        ran = run(capsys, "score-images", weights, tmp_path / "images", "--out", tmp_path / "a.csv")
        assert ran.code == 0, ran.err
        line = next(line for line in ran.out.splitlines() if line.startswith("images: "))
        assert line.startswith("images: 4 images; converted: ") and "1 colour to grey" in line
        assert line.endswith("; 2 reduced or cut to size")
        assert "warning: images: 1 of 4 images are 16-bit files that use 12 bits or fewer" in ran.out


def test_the_advice_for_small_images_can_be_followed(capsys: Capture, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    write_png(tmp_path / "images" / "small.png", torch.zeros(1, 5, 6, dtype=torch.uint8))
    said = refusal(capsys, "score-images", weights, tmp_path / "images", "--out", tmp_path / "a.csv")
    assert "small.png: 6 x 5 pixels are smaller than size 8" in said
    advised = said[said.index("{type") : said.index("}") + 1].replace("PATH", str(tmp_path / "images"))
    assert run(capsys, "score-images", weights, advised, "--out", tmp_path / "a.csv").code == 0
    assert len(read(tmp_path / "a.csv")) == 1


def test_an_energy_that_is_not_finite_says_of_which_rows(capsys: Capture, tmp_path: Path) -> None:
    generator = seeded(VAEBM)
    with torch.no_grad():
        [*generator.energy.parameters()][-1].fill_(3e38)  # type: ignore[union-attr]
        [*generator.energy.parameters()][-2].fill_(3e38)  # type: ignore[union-attr]
    weights = generator.save_pretrained(tmp_path / "loud")
    told = refusal(capsys, "score-images", weights, SPEC, "--batch-size", 4, "--out", tmp_path / "a.csv")
    assert "rows 0 to 3: the energy of sample" in told and not (tmp_path / "a.csv").exists()


def test_a_likelihood_alone_is_enough(capsys: Capture, tmp_path: Path) -> None:
    folder = seeded(GAUSSIAN_VAE).save_pretrained(tmp_path / "vae")
    assert run(capsys, "score-images", folder, SPEC, "--out", tmp_path / "a.csv").code == 0
    rows = read(tmp_path / "a.csv")
    assert all(float(row["outlier_score"]) == -float(row["log_likelihood"]) for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("digits-wgan-ratio-clipping", SPEC),
            "a GAN says nothing of images: it has neither an energy nor a likelihood",
        ),
        (("mnist-classifier", SPEC), "not a Generator"),
        (("VAEBM", "mnist/none"), "none"),
        (("VAEBM", "nowhere"), "nowhere"),
        (("VAEBM", "{type: gaussians8, n: 20}"), "wanted [1, 8, 8]"),
    ],
)
def test_what_cannot_be_scored_is_one_line(
    arguments: tuple[str, str], message: str, capsys: Capture, weights: Path, tmp_path: Path
) -> None:
    given = [weights if a == "VAEBM" else a for a in arguments]
    assert message in refusal(capsys, "score-images", *given, "--out", tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--steps", "x"), "Langevin steps are a whole number, 0 for none, got 'x'"),
        (("--steps", "-1"), "Langevin steps are a whole number"),
        (("--solver", "ddim"), "--solver is for diffusion models; a VAEBM takes --steps and --candidates"),
        (("--steps", "1000000"), "--steps: at most 999,999 Langevin steps, got '1000000'"),
        (("--candidates", "0"), "candidates"),
        (("--candidates", "10001"), "10001 is not in the range 1<=x<=10000"),
    ],
)
def test_options_of_samplers_that_do_not_fit(
    options: tuple[str, ...], message: str, capsys: Capture, weights: Path, tmp_path: Path
) -> None:
    assert message in refusal(capsys, "sample", weights, "-n", 2, "--out", tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


def test_steps_and_candidates_change_samples(capsys: Capture, weights: Path, tmp_path: Path) -> None:
    made = {}
    for name, options in {"as saved": (), "no": ("--steps", "0"), "chosen": ("--candidates", "3")}.items():
        out = tmp_path / name
        assert run(capsys, "sample", weights, "-n", "4", "--out", out, *options).code == 0
        made[name] = [(out / f"{i:06d}.png").read_bytes() for i in range(4)]
    assert len({tuple(files) for files in made.values()}) == 3
