"""Options that only some generators take."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from genkit.cli.features import as_typed
from genkit.cli.sampler_options import configured
from genkit.core.errors import GenkitError
from genkit.core.generator import Generator
from genkit.evaluation import evaluate
from genkit.gan.stylegan2.truncated import Truncated
from genkit.images.pixels import decode, to_uint8
from genkit.posthoc.directions.deformators import UnitColumns
from genkit.posthoc.directions.directions import Directions
from genkit.posthoc.directions.edited import Edited
from tests.cli.console import refusal, run
from tests.contracts.specs import GENERATORS, STYLEGAN2_G, seeded

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def stylegan2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = seeded({"type": "gan", "network": STYLEGAN2_G})
    return generator.save_pretrained(tmp_path_factory.mktemp("stylegan2"))


def test_truncation_changes_samples_and_one_does_not(capsys: Capture, stylegan2: Path, tmp_path: Path) -> None:
    made = {}
    for name, options in {"none": (), "one": ("--truncation", 1), "half": ("--truncation", 0.5)}.items():
        assert run(capsys, "sample", stylegan2, "-n", 3, "--out", tmp_path / name, *options).code == 0
        made[name] = [(tmp_path / name / f"{i:06d}.png").read_bytes() for i in range(3)]
    assert made["one"] == made["none"] != made["half"]


@pytest.mark.parametrize("named", [False, True])
def test_truncation_of_an_edit_is_that_of_what_was_edited(capsys: Capture, tmp_path: Path, named: bool) -> None:
    gan = seeded({"type": "gan", "network": STYLEGAN2_G})
    dim = gan.network.style_dim
    unit = UnitColumns(2, dim).eval()
    make = (
        partial(Directions, deformator=unit, space="w", names=["wide"])
        if named
        else partial(Edited, direction=unit, strength=2.0, number=1, space="w", unit=0.5)
    )
    folder = make(gan).save_pretrained(tmp_path / "edited")
    asked = ["--condition", "wide=2"] if named else []
    out = tmp_path / "samples"
    assert run(capsys, "sample", folder, "-n", 2, "--truncation", 0.5, *asked, "--out", out).code == 0
    condition = {"wide": 2.0} if named else None
    expected = make(Truncated(gan, 0.5)).eval().sample(2, condition=condition, rng=torch.Generator().manual_seed(0))
    made = [read_png(out / f"{i:06d}.png") for i in range(2)]
    assert all(a.equal(b) for a, b in zip(made, to_uint8(expected), strict=True))


def test_truncation_of_what_is_truncated_keeps_its_layers(capsys: Capture, tmp_path: Path) -> None:
    gan = seeded({"type": "gan", "network": STYLEGAN2_G})
    made = {}
    for layers in (1, None):
        folder = Truncated(gan, 0.9, layers).save_pretrained(tmp_path / f"{layers}")
        out = tmp_path / f"{layers}-samples"
        assert run(capsys, "sample", folder, "-n", 2, "--out", out, "--truncation", 0.1).code == 0
        expected = Truncated(gan, 0.1, layers).eval().sample(2, rng=torch.Generator().manual_seed(0))
        made[layers] = [read_png(out / f"{i:06d}.png") for i in range(2)]
        assert all(a.equal(b) for a, b in zip(made[layers], to_uint8(expected), strict=True)), layers
    assert not made[1][0].equal(made[None][0])


def test_scores_are_of_samples_as_asked_for(capsys: Capture, stylegan2: Path, tmp_path: Path) -> None:
    """The table of a command is that of a generator whose sampler was exchanged by hand, and says what was asked."""
    small = Truncated(Generator.from_pretrained(stylegan2), 0.3, None)
    options = ("--metrics", "pr", "-n", 40, "--extractor", "mnist-classifier", "--json", tmp_path / "scores.json")
    assert run(capsys, "evaluate", stylegan2, "--against", "digits", "--truncation", 0.3, *options).code == 0
    told = json.loads((tmp_path / "scores.json").read_text())
    by_hand = evaluate(small, "digits", ["pr"], 40, "mnist-classifier", progress=False).to_json()
    assert told["values"] == by_hand["values"]
    assert told["a"]["name"] == f"{stylegan2} --truncation 0.3"


def test_an_exchanged_sampler_is_named_as_it_was_typed() -> None:
    asked = {"truncation": {"hue": 0.5, "size": 0.75}, "scale": 2.0, "steps": "10,15", "rate": 0.2}
    found = " ".join(f"--{name} {as_typed(value)}" for name, value in asked.items())
    assert found == "--truncation hue=0.5,size=0.75 --scale 2 --steps 10,15 --rate 0.2"


def read_png(path: Path) -> torch.Tensor:
    return decode(path.read_bytes(), path.name)[0]


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        ("digits-wgan-ratio-clipping", ("--truncation", 0.5), "truncation is of w, and DCGANGenerator has none"),
        ("fashion-mnist-ddpm", ("--truncation", 0.5), "--truncation is for GANs with styles; this is a DDPM"),
        ("digits-wgan-ratio-clipping", ("--truncation", "nan"), "nan is not finite"),
        ("digits-wgan-ratio-clipping", ("--truncation", "inf"), "inf is not finite"),
        ("stylegan2", ("--truncation", 0.5, "--steps", 3), "--steps is not for GANs; leave it out"),
        ("fashion-mnist-ddpm", ("--candidates", 3), "--candidates is for a VAEBM; this is a DDPM"),
    ],
)
def test_what_does_not_fit_is_one_line(
    weights: str, options: tuple[object, ...], message: str, capsys: Capture, stylegan2: Path, tmp_path: Path
) -> None:
    given = stylegan2 if weights == "stylegan2" else weights
    assert message in refusal(capsys, "sample", given, "-n", 2, "--out", tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "number", "given", "message"),
    [
        ("gan", 0, {"steps": "3"}, "--length is for diffusion models; this is a GAN"),
        ("ddpm", 0, {"steps": "x"}, "--length: steps 'x': write '25', '10,15,20' or 'ddim25'"),
        ("ddpm", 2, {"steps": "ddim3"}, "--length: dpm_solver takes a number of evaluations"),
        ("ddpm", 0, {"steps": "26"}, "--length: steps '26': 26 steps do not fit"),
        ("vaebm", 0, {"steps": "x"}, "--length: Langevin steps are a whole number"),
        ("vaebm", 0, {"steps": "1000000"}, "--length: at most 999,999 Langevin steps"),
        ("vaebm", 0, {"solver": "ddim"}, "a VAEBM takes --length and --candidates"),
        ("vaebm", 2, {"steps": "3"}, "--length: these weights were saved without Langevin dynamics"),
    ],
)
def test_a_refusal_names_the_option_that_the_command_has(
    kind: str, number: int, given: dict[str, str], message: str
) -> None:
    with pytest.raises(GenkitError) as refused:
        configured(seeded(GENERATORS[kind][number]), given, "--length")
    assert message in str(refused.value) and "--steps" not in str(refused.value)
