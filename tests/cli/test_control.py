"""genkit evaluate --metrics control: tables, JSON, refusals in one line."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from genkit.core import catalog
from genkit.gan.control.controlled import Controlled
from genkit.gan.control.encoder import ControlEncoder
from genkit.gan.gan import GAN
from tests.cli.test_evaluate import refused, run
from tests.contracts.specs import FACTORS, PREDICTOR
from tests.gan.control.test_split_mapping import small

DATA = "{type: shapes, split: test, n: 60, size: 8}"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A generator with controls, and a judge."""
    folder = tmp_path_factory.mktemp("control")
    torch.manual_seed(0)
    generator = GAN(small(size=8, widths=[8, 6], split={"shape": 3, "hue": 2, "rest": 4}))
    columns = {name: catalog.build(FACTORS[name]) for name in ("shape", "hue")}
    encoders = {name: ControlEncoder(column, {"shape": 3, "hue": 2}[name], 8) for name, column in columns.items()}
    made = Controlled(generator, encoders).save_pretrained(folder / "w")
    return str(made), str(catalog.build(PREDICTOR).save_pretrained(folder / "judge"))


def test_tables_and_json(capsys, tmp_path, weights):
    generator, judge = weights
    arguments = ["--against", DATA, "--metrics", "control", "--judge", judge, "-n", 40, "--json", tmp_path / "out.json"]
    code, out, _ = run(capsys, "evaluate", generator, *arguments)
    assert code == 0
    for text in ("real targets", "own targets", "chance", "deg", "%", "drift of", "generated, %", "triangle", "n = 40"):
        assert text in out
    found = json.loads((tmp_path / "out.json").read_text())
    assert set(found["attributes"]) == {"shape", "hue"} and found["data"]["n"] == 60
    assert set(found["attributes"]["hue"]["errors"]) == {"real", "own", "chance", "nearest", "judge"}
    assert (found["a"]["name"], found["judge"]["name"]) == weights and found["a"]["weights"] != found["judge"][
        "weights"
    ]


def test_a_measurement_is_a_judge_and_what_it_does_not_read_is_said(capsys, weights):
    asked = ["--against", DATA, "--metrics", "control", "--judge", "{type: measured_shape, size: 8}", "-n", 32]
    code, out, err = run(capsys, "evaluate", weights[0], *asked)
    assert code == 0 and "the judge does not read shape: not scored" in out
    changed = next(line for line in out.splitlines() if "changed, drift of" in line)
    assert changed.split()[-5:] == ["hue", "size", "x", "y", "background"], "of all that the judge reads"
    assert "beyond what was learned" not in out + err


def test_a_judge_of_the_run_itself_is_told(capsys, tmp_path, weights):
    run_folder = tmp_path / "run"
    for name, place in zip(("control", "predictor"), weights, strict=True):
        shutil.copytree(place, run_folder / name)
    asked = ["--against", DATA, "--metrics", "control", "-n", 32, "--judge"]
    told = "the judge is of the run that it judges"
    for stages, there in (("", False), ("recipe.yaml", True)):
        (run_folder / stages).touch()
        code, out, _ = run(capsys, "evaluate", run_folder / "control", *asked, run_folder / "predictor")
        assert code == 0 and (told in out) == there
    assert told not in run(capsys, "evaluate", run_folder / "control", *asked, weights[1])[1]


def test_refusals_in_one_line(capsys, tmp_path, weights):
    generator, judge = weights
    asked = ["--against", DATA, "--metrics", "control"]
    assert "give --judge WEIGHTS" in refused(capsys, "evaluate", generator, *asked)
    plain = str(GAN(small(size=8, widths=[8, 6])).save_pretrained(tmp_path / "plain"))
    assert "a GAN has no controls" in refused(capsys, "evaluate", plain, *asked, "--judge", judge)
    assert "reads no attributes" in refused(capsys, "evaluate", generator, *asked, "--judge", generator)
    for spec, why in (("{type: ", "is no YAML mapping; write"), ("{type: digits}", "makes a DataSet, not a")):
        assert f"--judge: '{spec}' {why}" in refused(capsys, "evaluate", generator, *asked, "--judge", spec)
    told = refused(capsys, "evaluate", generator, *asked, "--judge", judge, "-n", 31)
    assert "control is measured on 32 images or more; got 31 of shapes/test" in told
    told = refused(capsys, "evaluate", generator, "--against", DATA, "--metrics", "fd", "--judge", judge)
    assert told.startswith("genkit: --judge is for control")
