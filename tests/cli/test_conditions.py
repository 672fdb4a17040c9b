"""genkit sample --condition: classes by name, images from files, and the one line that refuses what does not fit."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch

import genkit
from genkit.cli.conditions import asked
from genkit.core.columns.values import Values
from genkit.core.condition import ConditionSpace
from genkit.core.errors import ConditionError, DataError
from genkit.core.generator import Generator
from genkit.core.randomness import Rows
from genkit.data.digits import digits
from genkit.data.folder import folder
from genkit.images.pixels import write_folder, write_png
from tests.cli.console import refusal, run
from tests.cli.test_sample import contents
from tests.contracts import specs
from tests.contracts.specs import DDPM, UPSAMPLER, seeded
from tests.plugins import untouched_table

Capture = pytest.CaptureFixture[str]
FAST = {"solver": {"type": "ancestral", "steps": "3"}}
SIDE, LOW = 8, 4
NAMES = tuple("abcdefghij")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """up and model, weights; photo.png; photos, a folder and a zip of three images."""
    folder = tmp_path_factory.mktemp("here")
    for name, spec in {"up": UPSAMPLER, "model": {**DDPM, **FAST}}.items():
        made = seeded(spec)
        for parameter in made.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.3)
        made.class_names = NAMES
        made.save_pretrained(folder / name)
    small = digits("test", LOW).x[::300][:3]
    write_folder([small], folder / "photos")
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for path in (folder / "photos").iterdir():
            archive.write(path, path.name)
    write_png(folder / "photo.png", small[1])
    write_png(folder / "large.png", digits("test", 9).x[0])
    write_png(folder / "colour.png", small[1].expand(3, -1, -1))
    return folder


def test_label_and_class_are_one_condition(capsys: Capture, here: Path, tmp_path: Path) -> None:
    made = []
    for i, option in enumerate((("--label", "c"), ("--condition", "label=2"), ("--condition", "class=c"))):
        ran = run(capsys, "sample", here / "model", "-n", 2, *option, "--out", tmp_path / str(i))
        assert ran.code == 0 and ran.out.endswith("(seed 0, label 2: c)\n"), ran
        made.append(contents(tmp_path / str(i)))
    assert made[0] == made[1] == made[2]


@pytest.mark.parametrize(
    ("label", "images", "turn", "columns"),
    [
        ("3", "photo.png", 1, None),
        (None, "photos", 3, 6),
        ("a,b", "photos.zip", 6, 6),
        ("0,1,2,3,4,5", "photos", 6, 6),
        ("0,1,2,3", "photos", 12, 12),
        ("0,1,2,3,4,5,6", "photos", 21, None),
    ],
)
def test_a_column_of_a_grid_has_one_value_of_each_condition(
    here: Path, label: str | None, images: str, turn: int, columns: int | None
) -> None:
    found = asked(Generator.from_pretrained(here / "up"), label, [f"low_res={here / images}"], 24)
    assert (found.turn, found.columns) == (turn, columns)
    if columns:
        rows = [tuple(values[i].flatten().tolist() for values in found.rows.values()) for i in range(24)]
        assert all(row == rows[i % columns] for i, row in enumerate(rows))


def test_labels_are_taken_in_turn(capsys: Capture, here: Path, tmp_path: Path) -> None:
    ran = run(capsys, "sample", here / "model", "-n", 3, "--label", "c,0", "--out", tmp_path / "a")
    assert ran.code == 0 and ran.out.endswith("(seed 0, label 2: c, 0: a)\n"), ran
    model, rng = Generator.from_pretrained(here / "model"), torch.Generator()
    for condition in ({"label": [2, 0, 2]}, {"label": "c,0"}):
        write_folder([model.sample(3, condition=condition, rng=rng.manual_seed(0))], tmp_path / "want")
        assert contents(tmp_path / "a") == contents(tmp_path / "want")


def test_a_name_with_a_comma_is_one_value_of_those_in_turn(here: Path) -> None:
    model = Generator.from_pretrained(here / "model")
    model.conditions["label"].names = ("a", "b", "big, red", *model.conditions["label"].names[3:])
    told = asked(model, "big, red,a", [], 4)
    assert told.rows["label"].tolist() == [2, 0, 2, 0] and told.turn == 2
    assert asked(model, "big, red", [], 1).turn == 1


def test_an_image_is_enlarged_as_in_python(capsys: Capture, here: Path, tmp_path: Path) -> None:
    option = f"low_res={here / 'photo.png'}"
    ran = run(capsys, "sample", here / "up", "-n", 3, "--condition", option, "--label", 1, "--out", tmp_path / "a")
    assert ran.code == 0 and f"(seed 0, label 1: b, low_res of {here / 'photo.png'})" in ran.out, ran
    low = digits("test", LOW).rows(torch.tensor([300]))
    model = Generator.from_pretrained(here / "up")
    want = model.sample(3, condition={"low_res": low, "label": 1}, rng=torch.Generator().manual_seed(0))
    write_folder([want], tmp_path / "want")
    assert contents(tmp_path / "a") == contents(tmp_path / "want")


def test_probabilities_are_a_text() -> None:
    model = specs.seeded(specs.STYLEEX)
    told = asked(model, None, ["probabilities=" + "/".join(["0.1"] * 10)], 2)
    assert told.rows["probabilities"].equal(torch.full((2, 10), 0.1)) and told.words[0].startswith("probabilities 0.1/")
    certain = asked(model, None, ["probabilities=3"], 2).rows["probabilities"]
    assert certain.equal(torch.eye(10)[3].expand(2, -1))
    with pytest.raises(ConditionError, match=r"^--condition probabilities=0.5/0.5: .* takes 10 probabilities"):
        asked(model, None, ["probabilities=0.5/0.5"], 2)


def test_of_a_folder_no_more_is_read_than_is_asked_for(here: Path, tmp_path: Path) -> None:
    write_folder([digits("test", LOW).x[:1]], tmp_path)
    (tmp_path / "000001.png").write_bytes(b"no picture")
    model = Generator.from_pretrained(here / "up")
    assert len(asked(model, None, [f"low_res={tmp_path}"], 1).rows["low_res"]) == 1
    with pytest.raises(DataError, match=r"000001\.png"):
        asked(model, None, [f"low_res={tmp_path}"], 2)


def test_one_image_for_all_takes_the_memory_of_one(here: Path) -> None:
    model = Generator.from_pretrained(here / "up")
    rows = asked(model, None, [f"low_res={here / 'photo.png'}"], 10_000).rows["low_res"]
    assert rows.shape == (10_000, 1, LOW, LOW) and rows.untyped_storage().nbytes() == 4 * LOW**2


def test_images_of_a_folder_or_zip_are_taken_in_turn(capsys: Capture, here: Path, tmp_path: Path) -> None:
    for name in ("photos", "photos.zip"):
        option = ("--condition", f"low_res={here / name}", "--label", "1", "--batch-size", 2)
        assert run(capsys, "sample", here / "up", "-n", 5, *option, "--out", tmp_path / name).code == 0
    assert contents(tmp_path / "photos") == contents(tmp_path / "photos.zip")
    low = digits("test", LOW).rows(torch.tensor([0, 300, 600, 0, 300]))
    model = Generator.from_pretrained(here / "up")
    want = model.sample(5, condition={"low_res": low, "label": 1}, rng=torch.Generator().manual_seed(0))
    assert write_folder([want], tmp_path / "want") == 5
    assert contents(tmp_path / "want") == contents(tmp_path / "photos")


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        ("up", [], "--condition low_res=FILE, or a folder or zip, must be given: grey images of 4 x 4"),
        (
            "up",
            ["low_res=large.png"],
            "large.png is 9 x 9 pixels and grey; give grey images of 4 x 4: nothing is resized here",
        ),
        ("up", ["low_res=colour.png"], "colour.png is 4 x 4 pixels and in colour; give grey images of 4 x 4"),
        ("up", ["low_res=none.png"], "none.png does not exist; give an image file"),
        ("up", ["low_res=up"], "up holds no images"),
        ("up", ["low_res=up/config.json"], "up/config.json: not an image"),
        ("up", ["low_res=photo.png", "low_res=photos"], "--condition low_res=photos: low_res is given twice"),
        (
            "up",
            ["lowres=photo.png"],
            "--condition lowres=photo.png: this generator takes no condition 'lowres'; did you",
        ),
        (
            "up",
            ["low_res"],
            "--condition takes NAME=VALUE, such as label=3, hue=0.6 or low_res=photo.png; got 'low_res'",
        ),
        ("up", ["class=z", "low_res=photo.png"], "--condition class=z: condition 'label': no class is called 'z'"),
        ("model", ["low_res=photo.png"], "this generator takes no condition 'low_res'"),
        ("model", ["label=17"], "--condition label=17: condition 'label' takes 0 to 9, got 17"),
    ],
)
def test_what_does_not_fit_is_refused(
    capsys: Capture, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str, options: list[str],
    message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(here)
    given = [word for option in options for word in ("--condition", option)]
    assert message in refusal(capsys, "sample", weights, "-n", 2, *given, "--out", tmp_path / "out")
    assert not list(tmp_path.rglob("*.png"))


class Tinted(Generator):
    """Grey images as light as they are asked to be, black where that is left free."""

    def __init__(self) -> None:
        super().__init__()
        self.sample_shape, self.conditions = (1, 4, 4), ConditionSpace({"hue": Values(0, 1, cyclic=True), **SIZE})

    def _sample(self, condition: Mapping[str, torch.Tensor], rows: Rows) -> torch.Tensor:
        light = condition["size"].nan_to_num(0) * 2 - 1
        return light.view(-1, 1, 1, 1).expand(-1, 1, 4, 4)


SIZE = {"size": Values(0, 0.8, unit="px", free=True)}


@pytest.fixture
def tinted(tmp_path: Path) -> Iterator[Path]:
    with untouched_table():
        genkit.register("generators", "tinted", "tests.cli.test_conditions:Tinted")
        yield Tinted().save_pretrained(tmp_path / "tinted")


def light(path: Path) -> list[int]:
    return [int(folder(path, 4, channels=1).x[i, 0, 0, 0]) for i in range(3)]


def test_numbers_are_asked_for(capsys: Capture, tinted: Path, tmp_path: Path) -> None:
    out = ("--batch-size", 2, "--out", tmp_path / "out")
    ran = run(capsys, "sample", tinted, "-n", 3, "--condition", "size=0.4", "--condition", "hue=-0.3", *out)
    assert ran.code == 0 and ran.out.endswith("(seed 0, size 0.4, hue -0.3)\n") and not ran.err, ran
    assert light(tmp_path / "out") == [102, 102, 102]
    ran = run(capsys, "sample", tinted, "-n", 3, "--condition", "size=0.2,0.8", *out)
    assert ran.code == 0 and light(tmp_path / "out") == [51, 204, 51]
    assert run(capsys, "sample", tinted, "-n", 3, *out).code == 0 and light(tmp_path / "out") == [0, 0, 0]


def test_beyond_what_was_learned_is_told_in_one_line(tinted: Path, tmp_path: Path) -> None:
    command = ["sample", tinted, "-n", "3", "--condition", "size=1", "--batch-size", "1", "--out", tmp_path / "out"]
    code = (
        "import genkit, sys; genkit.register('generators', 'tinted', 'tests.cli.test_conditions:Tinted');"
        "from genkit.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    ran = subprocess.run([sys.executable, "-c", code, *map(str, command)], capture_output=True, text=True)
    assert ran.returncode == 0 and light(tmp_path / "out") == [255, 255, 255]
    assert ran.stderr == "warning: condition 'size': 1 px is beyond what was learned, 0 to 0.8 px\n"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("hue=red", "--condition hue=red: condition 'hue' takes numbers on a circle from 0 to 1; got 'red'"),
        ("size=0.1,", "--condition size=0.1,: condition 'size' takes numbers from 0 to 0.8 px, or free; got ''"),
        ("size=nan", "takes numbers from 0 to 0.8 px, or free; got 'nan'"),
        ("huge=1", "takes no condition 'huge'; did you mean 'hue'?"),
    ],
)
def test_what_is_no_number_is_refused(capsys: Capture, tinted: Path, tmp_path: Path, option: str, message: str) -> None:
    assert message in refusal(capsys, "sample", tinted, "-n", 2, "--condition", option, "--out", tmp_path / "out")


def test_numbers_are_told(capsys: Capture, tinted: Path) -> None:
    ran = run(capsys, "info", tinted)
    assert "hue: numbers on a circle from 0 to 1" in ran.out and "size: numbers from 0 to 0.8 px, or free" in ran.out


def test_images_that_are_read_are_not_written_over(capsys: Capture, here: Path) -> None:
    before = contents(here / "photos")
    given = ("--condition", f"low_res={here / 'photos'}", "--out", here / "photos")
    assert "is an input" in refusal(capsys, "sample", here / "up", "-n", 2, *given)
    assert contents(here / "photos") == before


def test_an_upsampler_is_scored_on_small_images_of_the_reference(capsys: Capture, here: Path, tmp_path: Path) -> None:
    scored = ("-n", 20, "--metrics", "kd", "--extractor", "mnist-classifier")
    ran = run(capsys, "evaluate", here / "up", "--against", "digits/test", *scored)
    assert ran.code == 0, ran
    write_folder([digits("test", SIDE).x[:20]], tmp_path / "files")
    line = refusal(capsys, "evaluate", here / "up", "--against", tmp_path / "files", *scored)
    assert "needs low_res of real images; score it against a data set, by its name" in line


def test_an_upsampler_is_no_reference(capsys: Capture, here: Path, tmp_path: Path) -> None:
    message = "needs low_res of real images and can only be scored itself"
    assert message in refusal(capsys, "evaluate", "digits/test", "--against", here / "up", "-n", 20, "--metrics", "kd")
    assert message in refusal(capsys, "stats", here / "up", "-n", 20, "--out", tmp_path / "s.npz")


def test_more_labels_than_samples_are_refused(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(capsys, "sample", finished, "-n", "2", "--label", "0,1,2", "--out", tmp_path / "out")
    assert line == "--label 0,1,2: 3 values for 2 samples; take -n 3 or more, or name fewer"
