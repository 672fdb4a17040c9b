"""genkit evaluate and genkit calibrate of predictors of attributes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from genkit.classifiers.measured_shape import MeasuredShape
from tests.cli.console import refusal, run
from tests.contracts.specs import NETWORKS, PREDICTOR, seeded

Capture = pytest.CaptureFixture[str]
SHAPES = "{type: shapes, split: test, n: 60}"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MeasuredShape().save_pretrained(tmp_path_factory.mktemp("weights") / "measured")


def test_a_predictor_is_scored_by_what_it_reads(capsys: Capture, measured: Path, tmp_path: Path) -> None:
    for options in ((), ("--metrics", "attributes")):
        ran = run(capsys, "evaluate", measured, "--against", SHAPES, *options, "-n", 50, "--json", tmp_path / "s.json")
        assert ran.code == 0 and "n = 50, seed 0" in ran.out, ran
        lines = {line.split(":")[0]: line for line in ran.out.splitlines()}
        assert "mean absolute error" in lines["hue"] and lines["hue"].endswith("degrees of the circle")
        assert lines["size"].endswith("of the deviation")
    found = json.loads((tmp_path / "s.json").read_text())
    assert found["values"]["size"] < 0.01 and found["a"]["name"] == str(measured)


def test_thresholds_are_yaml(capsys: Capture, measured: Path) -> None:
    ran = run(capsys, "calibrate", measured, SHAPES, "-n", 50)
    assert ran.code == 0 and "50 images of shapes/test, noise 0.05, seed 0" in ran.out and not ran.err, ran
    block = yaml.safe_load(ran.out[ran.out.index("# of each") :])
    assert [(line["attribute"], line["distance"]) for line in block] == [
        (name, distance)
        for name in ("hue", "size", "x", "y", "background")
        for distance in ("squared", "mean_absolute")
    ]
    assert all(0 < line["tau_plus"] < line["tau_minus"] for line in block) and 2 < block[0]["tau_minus"] < 4
    assert run(capsys, "calibrate", measured, SHAPES, "-n", 50).out == ran.out


def test_where_noise_is_as_large_no_threshold_is_suggested(capsys: Capture, measured: Path) -> None:
    ran = run(capsys, "calibrate", measured, SHAPES, "-n", 50, "--noise", 1)
    assert ran.code == 0 and "size: by the squared distance, noise is as large as" in ran.out + ran.err
    assert "attribute: size" not in ran.out


GRAM = "{type: gram_matrices, network: {weights: mnist-classifier}, layer: stages.2}"


@pytest.mark.parametrize(
    ("reader", "name", "distances"),
    [
        ("mnist-classifier", "class", ["squared", "mean_absolute"]),
        ("{type: mean_colour}", "mean_colour", ["squared", "mean_absolute"]),
        (GRAM, "gram_matrices", ["squared", "mean_absolute", "gram"]),
    ],
)
def test_classifiers_and_measures_are_calibrated_as_well(
    capsys: Capture, reader: str, name: str, distances: list[str]
) -> None:
    ran = run(capsys, "calibrate", reader, "digits", "-n", 100, "--noise", 0.02)
    assert ran.code == 0 and not ran.err, ran
    rows = [line.split() for line in ran.out.splitlines() if line.strip().startswith(name)]
    assert [row[1] for row in rows] == distances
    block = yaml.safe_load(ran.out[ran.out.index("# of each") :])
    assert block and all(line["attribute"] == name and line["tau_plus"] < line["tau_minus"] for line in block)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["calibrate", "judge", SHAPES], "samples of shapes/test are [3, 32, 32], wanted"),
        (["calibrate", "fashion-mnist-gan", SHAPES], "holds a GAN; attributes are read by a predictor of them"),
        (
            ["calibrate", "{type: mean_color}", SHAPES],
            "READER.type: unknown type 'mean_color'; did you mean 'mean_colour'",
        ),
        (["calibrate", "{type: mean_colour}", "{folder}"], "say which, as {type: folder, path: "),
        (["calibrate", "{type: ", SHAPES], "READER: '{type: ' is no YAML mapping; write '{type: name, key: value}'"),
        (["calibrate", "{type: digits}", SHAPES], "READER: '{type: digits}' makes a DataSet, not a Measure"),
        (["calibrate", "{measured}", "digits"], "samples of digits are [1, 28, 28], wanted [3, 32, 32]"),
        (["calibrate", "{measured}", "nothing"], "no file, folder or data set 'nothing'"),
        (["calibrate", "{measured}", "{type: part, data: {type: shapes}, stop: 1}"], "at least 2 images, got 1"),
        (["evaluate", "{measured}", "--against", "{type: shapes, attributes: false}"], "but the data have none"),
        (["evaluate", "judge", "--metrics", "attributes", "--against", SHAPES], "holds a Classifier"),
        (["evaluate", "{measured}", "--against", SHAPES, "--samples", "3"], "--samples is for likelihood"),
        (["evaluate", "{measured}", "--against", "{type: shapes, correlated: 2}"], "correlated"),
    ],
)
def test_what_cannot_be_is_one_line(
    capsys: Capture, measured: Path, tmp_path: Path, command: list[str], message: str
) -> None:
    judge = seeded(NETWORKS["classifier"][0]).save_pretrained(tmp_path / "judge")
    places = {"{measured}": measured, "judge": judge, "{folder}": tmp_path}
    assert message in refusal(capsys, *(places.get(word, word) for word in command))


def test_data_and_predictors_are_described(capsys: Capture, measured: Path, tmp_path: Path) -> None:
    assert (
        "correlated" in run(capsys, "info", "shapes").out
        and "coloured_fashion_mnist" in run(capsys, "list", "data").out
    )
    assert "hue: numbers on a circle from 0 to 1" in run(capsys, "info", measured).out
    predictor = seeded(PREDICTOR).save_pretrained(tmp_path / "predictor")
    assert "shape: 4 classes: disc, square, triangle, cross" in run(capsys, "info", predictor).out
