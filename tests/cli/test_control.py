"""genkit evaluate --metrics control: tables, JSON, refusals in one line."""

from __future__ import annotations

import json

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


def test_refusals_in_one_line(capsys, tmp_path, weights):
    generator, judge = weights
    asked = ["--against", DATA, "--metrics", "control"]
    assert "give --judge WEIGHTS" in refused(capsys, "evaluate", generator, *asked)
    plain = str(GAN(small(size=8, widths=[8, 6])).save_pretrained(tmp_path / "plain"))
    assert "a GAN has no controls" in refused(capsys, "evaluate", plain, *asked, "--judge", judge)
    assert "reads no attributes" in refused(capsys, "evaluate", generator, *asked, "--judge", generator)
    told = refused(capsys, "evaluate", generator, "--against", DATA, "--metrics", "fd", "--judge", judge)
    assert told.startswith("genkit: --judge is for control")
