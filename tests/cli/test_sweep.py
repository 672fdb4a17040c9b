"""Controls from the command line: what is asked for, sweeps of it, truncation of slices, and refusals in one line."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from genkit.cli.main import main
from genkit.cli.sweep import steps, swept, write_sweep
from genkit.core.columns.labels import Labels
from genkit.core.condition import ConditionSpace
from genkit.core.errors import BeyondTraining, GenkitError
from genkit.gan.control.controlled import Controlled
from genkit.gan.gan import GAN
from genkit.gan.networks.mlp import MLPGenerator
from genkit.images.grid import LINE, labelled_png
from tests.cli.test_evaluate import refused, run
from tests.gan.control.test_control_training import controlled


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(controlled().save_pretrained(tmp_path_factory.mktemp("control") / "w"))


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def test_samples_are_asked_for_several_values_at_once(capsys, tmp_path, weights):
    wishes = ["--condition", "hue=0.6", "--condition", "shape=cross"]
    code, out, _ = run(capsys, "sample", weights, "-n", 2, "--seed", 3, *wishes, "--out", tmp_path / "a")
    assert code == 0 and "hue 0.6, shape 2: cross" in out
    made = Controlled.from_pretrained(weights)
    expected = made.sample(2, condition={"hue": 0.6, "shape": 2}, rng=torch.Generator().manual_seed(3))
    shown = pixels(tmp_path / "a/000001.png").astype(int)
    assert abs(shown - ((expected[1] + 1) * 127.5).round().permute(1, 2, 0).numpy()).max() <= 1


def test_a_strip_has_a_row_a_seed_and_a_column_a_value(capsys, tmp_path, weights):
    strip = tmp_path / "strip.png"
    code, out, _ = run(capsys, "edit", weights, "--seed", 3, "-n", 2, "--sweep", "hue=0:0.5:3", "--out", strip)
    assert code == 0 and "2 x 3 images in" in out and "(hue=0:0.5:3, seed 3)" in out
    whole = pixels(strip)
    height, width = 2 * 64 + 2, 3 * 64 + 2 * 2
    assert whole.shape[0] == LINE + height and whole.shape[1] > width
    tiles = whole[LINE:, whole.shape[1] - width :]
    for row, seed in enumerate((3, 4)):
        for column, hue in enumerate(("0", "0.25", "0.5")):
            folder = tmp_path / f"{seed}-{hue}"
            run(capsys, "sample", weights, "-n", 1, "--seed", seed, "--condition", f"hue={hue}", "--out", folder)
            tile = tiles[row * 66 : row * 66 + 64 : 4, column * 66 : column * 66 + 64 : 4].astype(int)
            assert abs(tile - pixels(folder / "000000.png")).max() <= 1
    assert (whole[:LINE] < 128).any() and (whole[LINE:, : whole.shape[1] - width] < 128).any(), "texts"
    in_turn = ["--sweep", "hue=0,0.5", "-n", 2, "--condition", "shape=disc,cross"]
    code, *_ = run(capsys, "edit", weights, "--seed", 3, *in_turn, "--out", tmp_path / "turn.png")
    disc, cross = (tmp_path / f"{shape}.png" for shape in ("disc", "cross"))
    for n, shape in ((1, disc), (2, cross)):
        wish = ["-n", n, "--condition", f"shape={shape.stem}", "--out", shape]
        run(capsys, "edit", weights, "--seed", 3, "--sweep", "hue=0,0.5", *wish)
    turn = pixels(tmp_path / "turn.png")
    assert code == 0 and (turn[: LINE + 64] == pixels(disc)).all() and (turn[-64:] == pixels(cross)[-64:]).all()
    code, *_ = run(capsys, "edit", weights, "--sweep", "shape", "--condition", "hue=0.2", "--out", strip)
    assert code == 0 and pixels(strip).shape[0] == LINE + 4 * 66 - 2, "replaced; four rows if not said"


def test_two_sweeps_go_through_columns_and_rows_of_one_sample(capsys, tmp_path, weights):
    both = ["--seed", 3, "--sweep", "hue=0:0.5:3", "--sweep", "shape=cross,disc", "--out", tmp_path / "both.png"]
    code, out, _ = run(capsys, "edit", weights, *both)
    assert code == 0 and "2 x 3 images in" in out and "(hue=0:0.5:3, shape=cross,disc, seed 3)" in out
    tiles = pixels(tmp_path / "both.png")[LINE:, -(3 * 64 + 2 * 2) :]
    for row, shape in enumerate(("cross", "disc")):
        one = tmp_path / f"{shape}.png"
        wish = ["--seed", 3, "-n", 1, "--sweep", "hue=0:0.5:3", "--condition", f"shape={shape}", "--out", one]
        assert run(capsys, "edit", weights, *wish)[0] == 0
        assert (tiles[row * 66 : row * 66 + 64] == pixels(one)[LINE:, -(3 * 64 + 2 * 2) :]).all()


def test_truncation_of_slices_by_name(capsys, tmp_path, weights):
    for name, option in (("all", "0.5"), ("one", "rest=0.5,hue=0"), ("none", "1")):
        code, *_ = run(capsys, "sample", weights, "-n", 1, "--truncation", option, "--out", tmp_path / name)
        assert code == 0
    made = Controlled.from_pretrained(weights).with_psi({"rest": 0.5, "hue": 0.0})
    expected = made.sample(1, rng=torch.Generator().manual_seed(0))[0]
    shown = pixels(tmp_path / "one/000000.png").astype(int)
    assert abs(shown - ((expected + 1) * 127.5).round().permute(1, 2, 0).numpy()).max() <= 1
    assert len({(tmp_path / name / "000000.png").read_bytes() for name in ("all", "one", "none")}) == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["sample", "--condition", "hues=0.5"], "takes no condition 'hues'; did you mean 'hue'"),
        (["sample", "--condition", "hue=red"], "hue=red: condition 'hue' takes numbers on a circle from 0 to 1"),
        (["sample", "--condition", "shape=circle"], "no class is called 'circle'"),
        (["sample", "--truncation", "hues=0.5"], "--truncation: no slice 'hues' of w; did you mean 'hue'"),
        (["edit", "--sweep", "hues=0:1:4"], "--sweep 'hues=0:1:4': no control is called 'hues'; did you mean 'hue'"),
        (["edit", "--sweep", "hue=0:1"], "values are FROM:TO:COUNT"),
        (["edit", "--sweep", "hue=0:1:1000"], "COUNT is a number from 2 to 64, got 1000"),
        (["edit", "--sweep", "hue=0:1:1"], "COUNT is a number from 2 to 64, got 1"),
        (["edit", "--sweep", "hue=0:1:5.5"], "values are FROM:TO:COUNT"),
        (["edit", "--sweep", "hue=" + ",".join(["0.5"] * 65)], "a picture has at most 64 values, got 65"),
        (["edit", "--sweep", "shape=disc,circle"], "no class is called 'circle'"),
        (["edit", "--sweep", "hue=nan:1:3"], "FROM and TO are finite numbers, got nan and 1"),
        (["edit", "--sweep", "hue=0:inf:3"], "FROM and TO are finite numbers, got 0 and inf"),
        (["edit", "--sweep", "hue", "--sweep", "shape", "--condition", "hue=0.4,0.6"], "give one value of each"),
        (["edit", "--sweep", "hue", "--seed", 2**63 - 2], "4 rows have a seed each, and the last one is"),
        (["edit", "--sweep", "hue", "--skip-bad"], "--skip-bad is of new images, and one picture is asked for"),
        (["edit", "--sweep", "shape=0:3:3"], "classes have whole numbers, as in 0:3:4"),
        (["edit", "--sweep", "shape=-1:1:3"], "takes 0 to 2, got -1"),
        (["edit", "--sweep", "hue", "--condition", "shape=disc,cross", "-n", 1], "2 values for 1 sample"),
        (["sample", "--truncation", "hue=0.5,hue=0.7"], "'hue' is given twice"),
        (["edit", "--sweep", "hue=0:1:4", "--condition", "hue=0.5"], "the sweep goes through hue"),
        (["edit", "--sweep", "hue", "--sweep", "hue=0:1:4"], "both sweeps go through hue"),
        (["edit", "--sweep", "hue", "--sweep", "shape", "--condition", "shape=disc"], "the sweep goes through shape"),
        (["edit", "--sweep", "hue", "--sweep", "shape", "--sweep", "hue"], "rows through another; got 3"),
        (["edit", "--sweep", "hue", "--sweep", "shape", "-n", 2], "rows of two sweeps are values of the second one"),
        (["edit", "--sweep", "hue", "--grid"], "--grid is of new images, and one picture is asked for"),
        (["edit", "--condition", "hue=0.5"], "--condition is of all images of a --sweep"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(capsys, tmp_path, weights, arguments, told):
    command, *options = arguments
    out = tmp_path / ("strip.png" if command == "edit" else "out")
    assert told in refused(capsys, command, weights, *options, "--out", out)


def test_a_sweep_is_of_controls_and_one_picture(capsys, tmp_path, weights):
    assert "ends with .png, got 'strips'" in refused(
        capsys, "edit", weights, "--sweep", "hue", "--out", tmp_path / "strips"
    )
    plain = str(GAN(MLPGenerator(3, dims=2)).save_pretrained(tmp_path / "plain"))
    told = refused(capsys, "edit", plain, "--sweep", "hue", "--out", tmp_path / "strip.png")
    assert "needs a generator with controls" in told
    assert "say where the picture goes" in refused(capsys, "edit", weights, "--sweep", "hue")


def test_a_picture_replaces_a_picture_and_nothing_else(capsys, tmp_path, weights):
    thesis = tmp_path / "thesis.png"
    thesis.write_text("my thesis")
    assert "is there and is no PNG" in refused(capsys, "edit", weights, "--sweep", "hue", "--out", thesis)
    assert thesis.read_text() == "my thesis"


def test_what_is_free_is_swept_beside_what_is_asked_for(capsys, tmp_path, weights):
    made = Controlled.from_pretrained(weights)
    for text, own in (("hue=free,0.5", {"hue": 0.5}), ("shape=free,cross", {"shape": "cross"})):
        name, values, heads = swept(made, text)
        assert heads == ["free", text.rpartition(",")[2]]
        tiles = made.sweep(name, values, 1, torch.Generator().manual_seed(3))[0]
        for tile, condition in zip(tiles, (None, own), strict=True):
            alone = made.sample(1, condition=condition, rng=torch.Generator().manual_seed(3))[0]
            torch.testing.assert_close(tile, alone)
    wish = ["--condition", "hue=free", "--condition", "shape=free"]
    code, out, _ = run(capsys, "sample", weights, "-n", 1, *wish, "--out", tmp_path / "free")
    assert code == 0 and "hue free, shape free" in out


def test_every_range_of_classes_is_whole_and_ends_are_exact():
    columns = SimpleNamespace(conditions=ConditionSpace({"label": Labels(100)}))
    for low in range(0, 100, 7):
        for high in range(0, 100, 3):
            n = abs(high - low) + 1
            if 2 <= n <= 64:
                found = swept(columns, f"class={low}:{high}:{n}")[1].tolist()
                assert found == list(range(low, high + 1)) if high > low else found == list(range(low, high - 1, -1))
    assert steps("-0.1:0.2:4") == [-0.1, 0.0, 0.1, 0.2] and steps("0.7:0.7:7") == [0.7] * 7
    assert steps("-1e308:1e308:3") == [-1e308, 0.0, 1e308]


def test_numbers_beyond_what_was_learned_are_told_once(tmp_path):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        write_sweep("shapes-gan-control", ["hue=0,0.5", "size=2:3:3"], [], None, 0, tmp_path / "a.png")
    said = [str(one.message) for one in told if issubclass(one.category, BeyondTraining)]
    assert said == ["condition 'size': 2, 2.5, 3 are beyond what was learned, 0.3 to 0.7"]
    with pytest.raises(GenkitError, match="no image comes of values so far beyond"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_sweep("shapes-gan-control", ["size=0:1e38:3"], [], 1, 0, tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()


def test_heads_tell_values_apart_and_classes_by_name(weights):
    made = Controlled.from_pretrained(weights)
    assert swept(made, "hue=0.5000000000000000000,0.25")[2] == ["0.5", "0.25"]
    assert swept(made, "hue=0.50001:0.50002:2")[2] == ["0.50001", "0.50002"]
    assert swept(made, "shape=0:2:3")[2] == list(made.conditions["shape"].names)


def test_both_ends_of_a_circle_keep_their_own_text(weights):
    name, values, heads = swept(Controlled.from_pretrained(weights), "hue=0:1:3")
    assert (name, heads) == ("hue", ["0", "0.5", "1"]) and values.flatten().tolist() == [0, 0.5, 0]
    for text in ("shape=0:2:3", "shape"):
        assert swept(Controlled.from_pretrained(weights), text)[1].tolist() == [0, 1, 2]


def test_all_classes_are_swept_where_none_is_said():
    columns = ConditionSpace({"label": Labels(10, [*"abcdefghij"])})
    heads = swept(SimpleNamespace(conditions=columns), "label")[2]
    assert heads == [*"abcdefghij"]


def test_a_classifier_is_no_generator_and_what_takes_it_is_said(capsys, tmp_path):
    told = refused(capsys, "sample", "fashion-mnist-classifier", "--out", tmp_path / "out")
    assert "holds a Classifier, not a Generator; 'genkit evaluate' scores it" in told and "explain train" in told


def test_texts_stand_beside_rows_and_over_columns():
    black = torch.full((6, 1, 8, 8), -1.0)
    picture = np.asarray(Image.open(io.BytesIO(labelled_png(black, ["a", "b", "c"], ["seed 1", "seed 2"]))))
    left = picture.shape[1] - (3 * 66 - 2)
    assert picture.shape == (LINE + 2 * 66 - 2, left + 3 * 66 - 2, 3) and 20 < left < 60
    assert not picture[LINE : LINE + 64, left : left + 64].any()
    heads, beside = picture[:LINE, left:] < 128, picture[LINE:, : left - 2] < 128
    assert all(heads[:, k * 66 : k * 66 + 20].any() for k in range(3)) and beside[:66].any() and beside[66:].any()
    corner = labelled_png(black, ["a", "b", "c"], ["1", "2"], "a long name of the columns")
    wide = np.asarray(Image.open(io.BytesIO(corner)))
    room = wide.shape[1] - (3 * 66 - 2)
    assert room > left and (wide[:LINE, : room - 2] < 128).any() and not (wide[LINE:, 20 : room - 2] < 128).any()
    named = np.asarray(Image.open(io.BytesIO(labelled_png(black, ["much longer than the column is wide", "b", "c"]))))
    assert named.shape == (LINE + 2 * 66 - 2, 3 * 66 - 2, 3) and not (named[:LINE, 64:66] < 250).any()
    assert main(["edit", "--help"]) == 0
