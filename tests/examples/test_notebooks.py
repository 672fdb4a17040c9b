"""The notebooks of examples/: each runs to its end with small numbers, and shows what it tells."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from examples.notebooks import PARAMETERS, SHELL, code_cells, read, run
from tests.rules.markdown import ROOT, genkit_commands
from tests.rules.test_documents import check
from tests.shared import SHARED

EXAMPLES = ROOT / "examples"
SMALLER: dict[str, dict[str, Any]] = {
    "own_photos": {
        "MINUTES": 1,
        "CHANGES": ["train.steps=4", "train.batch_size=8", "every.grid=2", "every.checkpoint=2", "evaluate.n=60"],
        "SCORED": 60,
    },
    "steer_diffusion": {"EACH": 1, "COUNTED": 2, "STEPS": 3},
    "junk_images": {"GOOD": 100, "EACH": 5, "STEPS": 4},
    "compare_generators": {"N": 60, "STEPS": 3, "FEW": 20},
}
"""Notebook -> its parameters, so that the four take a minute together."""
DATA = {"compare_generators": "FashionMNIST"}
"""Notebook -> the folder below GENKIT_DATA that it reads."""
PLACES = re.compile(r"/(?:tmp|home|root|work)/")


def notebook(name: str) -> dict[str, Any]:
    return read(EXAMPLES / f"{name}.ipynb")


def pictures(cells: list[dict[str, Any]]) -> Iterator[Image.Image]:
    for cell in cells:
        for output in cell["outputs"]:
            if png := output.get("data", {}).get("image/png"):
                yield Image.open(io.BytesIO(base64.b64decode(png)))


def test_all_are_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.ipynb")} == set(SMALLER)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLER)
def test_it_runs_to_its_end(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Path(os.environ.get("GENKIT_DATA", SHARED / "data"))
    if name in DATA and not (data / DATA[name]).is_dir():
        pytest.skip(f"{data / DATA[name]} is absent; set GENKIT_SHARED or GENKIT_DATA")
    monkeypatch.setenv("GENKIT_DATA", str(data))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    made, kept = notebook(name), code_cells(notebook(name))
    run(made, tmp_path, SMALLER[name])
    cells = code_cells(made)
    assert [len(list(pictures([cell]))) for cell in cells] == [len(list(pictures([cell]))) for cell in kept]
    assert all(picture.convert("L").getextrema() != (0, 0) for picture in pictures(cells))


@pytest.mark.parametrize("name", SMALLER)
def test_it_is_kept_with_its_outputs(name: str) -> None:
    cells = code_cells(notebook(name))
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    found = list(pictures(cells))
    assert len(found) >= 2 and all(400 <= picture.width <= 1300 for picture in found)
    outputs = json.dumps([cell["outputs"] for cell in cells])
    assert not PLACES.search(outputs), "a path of the machine that it ran on"
    assert "Traceback" not in outputs and (EXAMPLES / f"{name}.ipynb").stat().st_size < 1_500_000


@pytest.mark.parametrize("name", SMALLER)
def test_it_reads_well(name: str) -> None:
    """It begins with a title, every piece of text is short, and the last one says what to read next."""
    texts = ["".join(cell["source"]) for cell in notebook(name)["cells"] if cell["cell_type"] == "markdown"]
    assert texts[0].startswith("# ") and "## What next" in texts[-1]
    assert all(len(text.split()) < 250 for text in texts)
    for place in re.findall(r"\]\(([^)#]+)", "\n".join(texts)):
        assert (EXAMPLES / place).exists(), place


@pytest.mark.parametrize("name", SMALLER)
def test_its_commands_parse(name: str) -> None:
    cells = ["".join(cell["source"]) for cell in notebook(name)["cells"]]
    lines = [line for text in cells for line in text.splitlines()]
    commands = [SHELL.sub(r"\2", line) for line in lines if SHELL.match(line) or line.startswith("genkit ")]
    for words in genkit_commands([re.sub(r"\{\w+\}", "5", line) for line in commands]):
        check(words, whole=True)


def test_only_its_parameters_are_made_smaller(tmp_path: Path) -> None:
    def cell(source: str, *tags: str) -> dict[str, Any]:
        return {"cell_type": "code", "source": [source], "metadata": {"tags": list(tags)}}

    made = {"cells": [cell("N = 100", PARAMETERS), cell("print(N)\n!echo {N} words\nN + 1")]}
    run(made, tmp_path, {"N": 2})
    shown = made["cells"][1]["outputs"]
    assert shown[0]["text"] == ["2\n", "2 words\n"] and shown[1]["data"] == {"text/plain": ["3"]}
    with pytest.raises(KeyError, match="M"):
        run(made, tmp_path, {"M": 2})
    with pytest.raises(subprocess.CalledProcessError):
        run({"cells": [cell("!exit 3")]}, tmp_path)
