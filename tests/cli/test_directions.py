"""genkit directions and genkit edit --direction, from the gallery to edited weights, and refusals in one line."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from genkit.core.generator import Generator
from genkit.images.grid import LINE
from genkit.posthoc.directions.directions import samples_of
from genkit.posthoc.directions.directions_folder import TEXT, read_directions
from genkit.posthoc.directions.edited import Edited
from genkit.posthoc.directions.gallery import WAYS
from tests.cli.console import refusal, run
from tests.contracts.specs import DCGAN_G, MLP_G, PLAIN_DDPM, STYLEGAN2_G, seeded
from tests.training.tiny import on_processes

Capture = pytest.CaptureFixture[str]
FAST = ("--score-steps", 1, "--seed", 5)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    for name, spec in (
        ("gan", {"type": "gan", "network": DCGAN_G}),
        ("styled", {"type": "gan", "network": STYLEGAN2_G}),
        ("ddpm", PLAIN_DDPM),
        ("points", {"type": "gan", "network": MLP_G}),
    ):
        seeded(spec).save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="module")
def found(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from genkit.cli.main import main

    out = tmp_path_factory.mktemp("found")
    given = [str(weights / "gan"), "--method", "sefa", *map(str, FAST), "--out", str(out)]
    assert main(["directions", *given]) == 0
    return out


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


@pytest.mark.parametrize(
    ("name", "method", "space", "extra"),
    [
        ("gan", "sefa", "z", ()),
        ("gan", "ganspace", "z", ()),
        ("gan", "coordinate", "z", ("-k", 2)),
        ("styled", "sefa", "w.0-1", ()),
        ("styled", "ganspace", "b8.conv1", ()),
        ("styled", "random", "z.z", ()),
        ("styled", "learned", "w", ("--steps", 2, "-k", 5)),
    ],
)
def test_a_gallery_of_every_method(
    capsys: Capture, weights: Path, tmp_path: Path, name: str, method: str, space: str, extra: tuple[object, ...]
) -> None:
    given = ("directions", weights / name, "--method", method, "--space", space, *extra, *FAST, "--out", tmp_path / "d")
    ran = run(capsys, *given)
    assert ran.code == 0, ran.err
    scores = json.loads((tmp_path / "d/scores.json").read_text())
    k = len(scores["directions"])
    assert k == dict(zip(extra[::2], extra[1::2], strict=True)).get("-k", 3 if space.startswith("z") else 4)
    page = (tmp_path / "d/directions.html").read_text()
    assert page.count('<img src="data:image/png;base64,') == k and "http" not in page and "no name yet" in page
    assert WAYS[method] in page
    assert "brightness" in scores["directions"][0]["moves"] and "own" in scores["accuracy"]
    told = yaml.safe_load((tmp_path / "d/directions.yaml").read_text())
    assert told["method"] == method and told["space"] == space and len(told["names"]) == k
    first = (tmp_path / "d/directions.safetensors").read_bytes()
    again = ("--resume",) if method == "learned" else ()
    assert run(capsys, *given, *again).code == 0
    assert (tmp_path / "d/directions.safetensors").read_bytes() == first


def test_learned_directions_are_not_replaced_by_others(capsys: Capture, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "d/training").mkdir(parents=True)
    line = ("directions", weights / "gan", "-k", 2, "--out", tmp_path / "d", "--method")
    for method in ("sefa", "random"):
        said = refusal(capsys, *line, method)
        assert f"holds directions that were learned, which {method} ones would replace; choose another --out" in said


def test_a_direction_by_number_and_by_the_name_that_a_person_gave(
    capsys: Capture, weights: Path, found: Path, tmp_path: Path
) -> None:
    text = (found / "directions.yaml").read_text()
    named = tmp_path / "named"
    named.mkdir()
    (named / "directions.yaml").write_text(text.replace("1: ''", "1: darker"))
    (named / "directions.safetensors").write_bytes((found / "directions.safetensors").read_bytes())
    common = ("edit", weights / "gan", "--directions", named)
    ran = run(capsys, *common, "--seed", 3, "-n", 2, "--direction", "darker=2.5", "--out", tmp_path / "a.png")
    assert ran.code == 0 and "2 x 9 images in" in ran.out and "darker, -2.5 to +2.5" in ran.out, ran
    run(capsys, *common, "--seed", 3, "-n", 2, "--direction", "1=2.5", "--out", tmp_path / "b.png")
    assert (pixels(tmp_path / "a.png") == pixels(tmp_path / "b.png")).all()
    ran = run(capsys, *common, "--direction", "1=2.5", "--out", tmp_path / "w")
    assert ran.code == 0 and "weights in" in ran.out
    assert isinstance(Generator.from_pretrained(tmp_path / "w"), Edited)
    for name, w in (("moved", tmp_path / "w"), ("same", weights / "gan")):
        assert run(capsys, "sample", w, "-n", 1, "--seed", 3, "--out", tmp_path / name).code == 0
    strip = pixels(tmp_path / "a.png")
    width, left = 9 * 64 + 8 * 2, strip.shape[1] - (9 * 64 + 8 * 2)
    for name, column in (("same", 4), ("moved", 8)):
        tile = strip[LINE : LINE + 64 : 8, left + column * 66 : left + column * 66 + 64 : 8]
        assert abs(tile - pixels(tmp_path / name / "000000.png")).max() <= 1
    assert width and (pixels(tmp_path / "moved/000000.png") != pixels(tmp_path / "same/000000.png")).any()


@pytest.mark.parametrize(
    ("name", "method", "space"),
    [
        ("gan", "sefa", "z"),
        ("styled", "sefa", "w"),
        ("styled", "sefa", "w.0-1"),
        ("styled", "random", "z"),
        ("styled", "ganspace", "b8.conv1"),
    ],
)
def test_several_directions_at_once_move_by_their_sum(
    capsys: Capture, weights: Path, tmp_path: Path, name: str, method: str, space: str
) -> None:
    given = ("directions", weights / name, "--method", method, "--space", space, *FAST)
    assert run(capsys, *given, "--out", tmp_path / "d").code == 0
    common = ("edit", weights / name, "--directions", tmp_path / "d")
    both = ("--direction", "0=2", "--direction", "2=-3")
    ran = run(capsys, *common, *both, "--out", tmp_path / "w")
    assert ran.code == 0 and "(direction 0, strength 2; direction 2, strength -3)" in ran.out
    ran = run(capsys, *common, *both, "-n", 2, "--out", tmp_path / "s.png")
    assert ran.code == 0 and "(direction 0, strength 2; direction 2, +3 to -3, seed 0)" in ran.out
    moved: Any = Generator.from_pretrained(tmp_path / "w")
    found = read_directions(tmp_path / "d", Generator.from_pretrained(weights / name))
    shift = found.unit * (2 * found.rows()[0] - 3 * found.rows()[2])
    z, condition = samples_of(found.generator, range(4))
    with torch.no_grad():
        wanted = found.space.images(z, condition, shift.expand(4, -1))
        torch.testing.assert_close(moved.eval()(z, condition), wanted, atol=1e-5, rtol=0)


WAYS_TO_FIND = (("gan", "sefa", "z"), ("gan", "ganspace", "z"), ("styled", "sefa", "w"), ("styled", "ganspace", "w"))


def find_here(weights: Path, out: Path) -> None:
    from genkit.cli.main import main

    for name, method, space in WAYS_TO_FIND:
        words = [str(weights / name), "--method", method, "--space", space, "--out", str(out / f"{name}-{method}")]
        assert main(["directions", *map(str, FAST), *words]) == 0


def test_two_processes_share_the_scores_and_find_those_of_one(weights: Path, tmp_path: Path) -> None:
    assert on_processes(2, find_here, tmp_path, weights, tmp_path / "two") == [0, 0]
    find_here(weights, tmp_path / "one")
    for way, method, _ in WAYS_TO_FIND:
        for name in ("scores.json", "directions.safetensors", "directions.yaml"):
            one, two = (tmp_path / count / f"{way}-{method}" / name for count in ("one", "two"))
            assert one.read_bytes() == two.read_bytes(), (way, method, name)


def test_a_run_of_learned_directions_needs_no_folder(capsys: Capture, weights: Path, tmp_path: Path) -> None:
    run(capsys, "directions", weights / "gan", "--steps", 2, "-k", 2, *FAST, "--out", tmp_path / "d")
    strip = tmp_path / "strip.png"
    ran = run(capsys, "edit", tmp_path / "d/training", "--direction", "1=3", "--out", strip)
    assert ran.code == 0 and strip.is_file(), ran
    by_folder = (
        "edit",
        weights / "gan",
        "--directions",
        tmp_path / "d",
        "--direction",
        "1=3",
        "--out",
        tmp_path / "s.png",
    )
    assert run(capsys, *by_folder).code == 0
    assert abs(pixels(strip) - pixels(tmp_path / "s.png")).max() <= 1
    for name, w in (("found", tmp_path / "d/training"), ("gan", weights / "gan")):
        assert run(capsys, "sample", w, "-n", 1, "--out", tmp_path / name).code == 0
    assert (pixels(tmp_path / "found/000000.png") == pixels(tmp_path / "gan/000000.png")).all()


def test_directions_of_other_weights_are_told(capsys: Capture, weights: Path, found: Path, tmp_path: Path) -> None:
    torch.manual_seed(9)
    seeded({"type": "gan", "network": DCGAN_G}, 9).save_pretrained(tmp_path / "other")
    ran = run(
        capsys, "edit", tmp_path / "other", "--directions", found, "--direction", "0=1", "--out", tmp_path / "s.png"
    )
    assert ran.code == 0 and "were found in other weights" in ran.err


def test_directions_of_what_they_have_edited_already_are_its_own(
    capsys: Capture, weights: Path, found: Path, tmp_path: Path
) -> None:
    line = ("--directions", found, "--direction", "0=1", "--out")
    ran = run(capsys, "edit", weights / "gan", *line, tmp_path / "once")
    again = run(capsys, "edit", tmp_path / "once", *line, tmp_path / "twice.png")
    assert (ran.code, again.code, ran.err, again.err) == (0, 0, "", "")


def test_directions_of_named_directions_keep_their_names(
    capsys: Capture, weights: Path, found: Path, tmp_path: Path
) -> None:
    shutil.copytree(found, tmp_path / "first")
    text = tmp_path / "first" / TEXT
    text.write_text(text.read_text().replace("0: ''", "0: bold"))
    line = ("edit", weights / "gan", "--directions", tmp_path / "first", "--out", tmp_path / "named")
    assert run(capsys, *line).code == 0
    line = ("directions", tmp_path / "named", "--method", "random", "-k", 2, "--score-steps", 0)
    assert run(capsys, *line, "--out", tmp_path / "second").code == 0
    line = ("edit", tmp_path / "named", "--directions", tmp_path / "second", "--direction", "1=1")
    ran = run(capsys, *line, "--out", tmp_path / "moved")
    assert (ran.code, ran.err) == (0, "")
    assert "bold" in Generator.from_pretrained(tmp_path / "moved").conditions


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        (
            "gan",
            ("-k", 4, "--method", "coordinate"),
            "a latent of 3 numbers has 3 orthogonal directions, got 4; ask for fewer",
        ),
        ("gan", ("-k", 100_000_000), "'-k': 100000000 is not in the range 1<=x<=4096"),
        ("gan", ("--method", "sefas"), "'sefas' is not one of"),
        ("gan", ("--space", "w"), "no space 'w': a GAN has no styles"),
        ("gan", ("--space", "z.9"), "no space 'z.9': its latent is one tensor, z"),
        ("styled", ("--space", "b8.conv"), "no space 'b8.conv'; did you mean 'b8.conv1'"),
        ("styled", ("--method", "sefa"), "gives its latent z to no affine layer first"),
        ("ddpm", (), "directions are of a latent, and a DDPM has none"),
        ("points", (), "directions are looked at in images, and this makes points [2]"),
        ("gan", ("--method", "sefa", "--steps", 3), "--steps is of learned directions; sefa ones need no training"),
        (
            "gan",
            ("--classifier", "fashion-mnist-classifier"),
            "it takes images of [1, 28, 28], and these are [1, 8, 8]",
        ),
    ],
)
def test_directions_that_cannot_be(
    capsys: Capture, weights: Path, tmp_path: Path, name: str, given: tuple[object, ...], told: str
) -> None:
    assert told in refusal(capsys, "directions", weights / name, *given, "--out", tmp_path / "d")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("gan", ("--direction", "3=1"), "--direction '3=1': no direction 3; there are 3, from 0 to 2"),
        (
            "gan",
            ("--direction", "dark=1"),
            "no direction is called 'dark'; give a number from 0 to 2, or write names into directions.yaml",
        ),
        ("gan", ("--direction", "-1=1"), "no direction is called '-1'; give a number from 0 to 2"),
        ("gan", ("--direction", "1"), "give NUMBER=STRENGTH or NAME=STRENGTH"),
        ("gan", ("--direction", "1=nan"), "a strength is a finite number from 1e-06 to 1000, or as far below 0"),
        ("gan", ("--direction", "1=0"), "a strength is a finite number from 1e-06 to 1000, or as far below 0"),
        ("gan", ("--direction", "1=-1e-300"), "a strength is a finite number from 1e-06 to 1000, or as far below 0"),
        ("gan", ("--direction", "9" * 5000 + "=1"), "no direction is called '99"),
        ("gan", ("--direction", "1=1", "--direction", "1=2"), "1=1, 1=2 name one direction twice"),
        ("gan", (), "say which direction a picture is of with --direction NAME=STRENGTH"),
        ("gan", ("--direction", "1=1", "-n", 100_000_000), "-n 100,000,000: a picture has at most 1,000 rows"),
        ("gan", ("--direction", "1=1", "--sweep", "hue"), "goes with none of IMAGE"),
        ("styled", ("--direction", "1=1"), ""),
        ("ddpm", ("--direction", "1=1"), "directions are of a latent, and a DDPM has none"),
    ],
)
def test_edits_that_cannot_be(
    capsys: Capture, weights: Path, found: Path, tmp_path: Path, name: str, given: tuple[object, ...], told: str
) -> None:
    line = ("edit", weights / name, "--directions", found, *given, "--out", tmp_path / "s.png")
    if told:
        assert told in refusal(capsys, *line)
    else:
        assert "were found in other weights" in run(capsys, *line).err


def test_an_edit_says_where_directions_are_from_and_where_it_goes(
    capsys: Capture, weights: Path, tmp_path: Path
) -> None:
    line = ("edit", weights / "gan", "--direction", "1=1")
    assert "a picture is a .png file, got 's.JPG'" in refusal(capsys, *line, "--out", tmp_path / "s.JPG")
    assert "say which directions with --directions FOLDER" in refusal(capsys, *line, "--out", tmp_path / "s.png")
    assert "say where the picture goes with --out FILE.png" in refusal(capsys, *line)
    assert "'genkit directions' writes them" in refusal(
        capsys, *line, "--directions", weights, "--out", tmp_path / "a.png"
    )


def test_names_become_conditions_of_new_weights(capsys: Capture, weights: Path, found: Path, tmp_path: Path) -> None:
    named = tmp_path / "named"
    shutil.copytree(found, named)
    line = ("edit", weights / "gan", "--directions", named, "--out", tmp_path / "w")
    assert "no direction has a name; write some into its directions.yaml" in refusal(capsys, *line)
    assert not (tmp_path / "w").exists()
    text = (named / "directions.yaml").read_text()
    (named / "directions.yaml").write_text(text.replace("1: ''", "1: darker"))
    ran = run(capsys, *line)
    assert ran.code == 0 and "--condition darker=" in ran.out and "named: darker" in ran.out, ran
    command = shlex.split(next(line for line in ran.out.splitlines() if line.strip().startswith("genkit sample")))
    assert run(capsys, *command[1:-1], tmp_path / "by the line", "-n", 1).code == 0
    assert "darker: numbers from" in run(capsys, "info", tmp_path / "w").out
    made = {"asked": (tmp_path / "w", "--condition", "darker=2"), "plain": (tmp_path / "w",), "gan": (weights / "gan",)}
    edit = ("edit", weights / "gan", "--directions", named, "--direction", "1=2", "--out", tmp_path / "moved")
    assert run(capsys, *edit).code == 0
    by_weights = ("edit", weights / "gan", "--directions", tmp_path / "w", "--direction", "darker=2", "--out")
    ran = run(capsys, *by_weights, tmp_path / "by_weights")
    assert (ran.code, ran.err) == (0, "") and ran.out.endswith("(darker, strength 2)\n")
    same = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("moved", "by_weights")]
    assert same[0] == same[1]
    seeded({"type": "gan", "network": DCGAN_G}, 9).save_pretrained(tmp_path / "other")
    ran = run(capsys, "edit", tmp_path / "other", *by_weights[2:], tmp_path / "by_others")
    assert ran.code == 0 and ran.err.startswith("warning: ") and "were found in other weights than" in ran.err
    for name, given in (made | {"same": (tmp_path / "moved",)}).items():
        assert run(capsys, "sample", *given, "-n", 2, "--out", tmp_path / "of" / name).code == 0
    of = {name: pixels(tmp_path / "of" / name / "000001.png") for name in ("asked", "plain", "gan", "same")}
    assert (of["asked"] == of["same"]).all() and (of["plain"] == of["gan"]).all()
    assert (of["asked"] != of["plain"]).any()
    exported = run(capsys, "export", tmp_path / "w", "--to", "torch", "--out", tmp_path / "t")
    assert exported.code == 0 and "differs from it by" in exported.out, exported
    data = ("--data", "{type: digits, split: test, size: 8}")
    refined = run(capsys, "refine", tmp_path / "w", *data, "--steps", 2, "--out", tmp_path / "r")
    assert refined.code == 0, "data without such a condition leave it free"
    assert run(capsys, "sample", tmp_path / "r", "-n", 2, "--condition", "darker=2", "--out", tmp_path / "b").code == 0


@pytest.mark.parametrize("option", [["-n", 3], ["--seed", 1], ["--grid"]])
def test_new_weights_have_no_options_of_images(
    weights: Path, found: Path, tmp_path: Path, capsys: Capture, option: list[object]
) -> None:
    line = ["edit", weights / "gan", "--directions", found, "--direction", "1=2", "--out", tmp_path / "moved", *option]
    assert f"{option[0]} is of new images" in refusal(capsys, *line)
    assert not (tmp_path / "moved").exists()


def test_new_weights_replace_no_others(weights: Path, found: Path, tmp_path: Path, capsys: Capture) -> None:
    line = ["edit", weights / "gan", "--directions", found, "--direction", "1=2", "--out"]
    other = tmp_path / "other"
    shutil.copytree(weights / "gan", other)
    before = {path.name: path.read_bytes() for path in other.iterdir() if path.is_file()}
    assert "exists and is not empty; choose another folder" in refusal(capsys, *line, other)
    assert {path.name: path.read_bytes() for path in other.iterdir() if path.is_file()} == before
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"photo")
    assert "is a file; name a folder, or a picture that ends with .png" in refusal(capsys, *line, photo)
