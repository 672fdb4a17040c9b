"""genkit list, info and cite."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from genkit.cli import list_
from genkit.cli.console import table
from genkit.cli.list_ import kinds
from genkit.cli.main import COMMANDS
from genkit.core.catalog import CATALOG, load, shipped
from genkit.core.entry import Entry
from genkit.core.table import register
from genkit.training.recipe_file import shipped_recipes
from tests.cli.console import refusal, run
from tests.plugins import install, untouched_table

Capture = pytest.CaptureFixture[str]

LIGHT = """
import sys
from genkit.cli.main import main
codes = [main(words) for words in (["--help"], ["list"], ["cite", "ratio_clipping"], ["--version"])]
heavy = sorted({name.split(".")[0] for name in sys.modules} & {"torch", "numpy", "pydantic", "accelerate"})
print("END", codes, heavy)
"""


def test_looking_around_needs_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "END [0, 0, 0, 0] []", done.stderr


def test_listings_are_complete() -> None:
    names = {kind: [name for name, *_ in rows()] for kind, rows in kinds().items()}
    assert names["recipes"] == shipped_recipes()
    assert {kind: names[kind] for kind in CATALOG} == {kind: list(entries) for kind, entries in CATALOG.items()}


def test_every_listed_name_says_what_it_is() -> None:
    for kind, rows in kinds().items():
        for name, *said in rows():
            assert all(said), f"{kind} {name} has no description, or no score on its card"


def test_list(capsys: Capture) -> None:
    ran = run(capsys, "list", "data")
    assert ran.code == 0
    assert re.match(r"digits +Handwritten digits of the MNIST training set", ran.out)


def test_the_kinds_are_listed_with_what_they_are(capsys: Capture) -> None:
    lines = run(capsys, "list").out.splitlines()
    assert [line.split()[0] for line in lines[: len(kinds())]] == list(kinds()) == list(list_.ABOUT)
    recipes = len(run(capsys, "list", "recipes").out.splitlines())
    assert lines[0].split()[:2] == ["recipes", str(recipes)] and "genkit train NAME" in lines[0]


WEIGHTS = {path.name for path in shipped("weights").iterdir()}
NAMES = [pair for names in CATALOG.values() for pair in names.items() if pair[0] not in WEIGHTS]


@pytest.mark.parametrize(("name", "entry"), NAMES)
def test_info_knows_every_name(capsys: Capture, name: str, entry: Entry) -> None:
    ran = run(capsys, "info", name)
    assert ran.code == 0
    assert "arguments" in ran.out or (
        name in CATALOG["layouts"] and ("FILE, such as" in ran.out or "settings" in ran.out)
    )
    assert (load(entry.target).__doc__ or "").split("\n")[0] in ran.out


@pytest.mark.parametrize(
    ("target", "reason"),
    [("genkit.core.tree:absent", "cannot be imported"), ("genkit.core.errors:LINE", "is an int .* no class")],
)
def test_info_of_a_name_behind_which_nothing_is(capsys: Capture, target: str, reason: str) -> None:
    with untouched_table():
        register("networks", "my_own", target)
        assert re.search(reason, refusal(capsys, "info", "my_own"))


def test_info_of_a_recipe_a_run_and_weights(capsys: Capture, recipe: Path, finished: Path) -> None:
    text = " ".join(run(capsys, "info", recipe).out.split())
    assert "generator gan network dcgan_generator" in text and "Wu et al. 2020" in text
    text = " ".join(run(capsys, "info", finished).out.split())
    assert "state finished" in text and "iteration 4 of 4" in text and "Wu et al. 2020" in text
    text = " ".join(run(capsys, "info", finished / "weights").out.split())
    assert "samples 1 x 28 x 28" in text and "label: 10 classes" in text


def test_info_of_a_stopped_run_names_one_iteration(
    capsys: Capture, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has a line for every fifty iterations or so; a run may stop between two."""
    run_ = tmp_path / "run"
    shutil.copytree(finished, run_)
    shutil.rmtree(run_ / "weights")
    lines = (run_ / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run_ / "metrics.jsonl").write_text("".join(line for line in lines if json.loads(line)["step"] < 4))
    text = " ".join(run(capsys, "info", run_).out.split())
    assert "iteration 4 of 4" in text and "averaged weights of iteration 4" in text


def test_cite(capsys: Capture, finished: Path) -> None:
    ran = run(capsys, "cite", "ratio_clipping")
    assert ran.out.startswith("@inproceedings{wu2020ratioclipping,") and ran.out.count("@") == 1
    ran = run(capsys, "cite", finished)
    assert {"wu2020ratioclipping", "gulrajani2017wgangp", "kingma2015adam", "lecun1998mnist"} <= {
        line.split("{")[1].rstrip(",") for line in ran.out.splitlines() if line.startswith("@")
    }
    assert run(capsys, "cite", "sgd").out == ""


def test_shipped_weights_are_cited_with_how_they_were_learned(capsys: Capture) -> None:
    assert "wu2020ratioclipping" in run(capsys, "cite", "digits-wgan-ratio-clipping").out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys: Capture, command: str) -> None:
    ran = run(capsys, command, "--help")
    assert ran.code == 0 and f"genkit {command}" in ran.out


def test_help_is_what_no_arguments_give(capsys: Capture) -> None:
    assert run(capsys).out == run(capsys, "--help").out


def test_arguments_that_only_code_can_give_are_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, "info", "folder").out
    assert "skip_bad" in told and "instead of stopping at the first" in told
    assert "progress  " not in told.partition("arguments")[2] and "<class" not in told


def test_a_broken_package_costs_list_one_line(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "their-package", "point = no_such_module:point")
    with untouched_table():
        ran = run(capsys, "list", "metrics")
    assert ran.code == 0 and ran.out.startswith("fd ")
    assert ran.err.count("\n") == 1 and ran.err.startswith("warning: package their-package adds nothing to genkit: ")


@pytest.mark.parametrize("header", [(), ("one", "two", "three")])
def test_a_table_is_aligned_whole_and_takes_no_markup(header: tuple[str, ...]) -> None:
    rows = [("a", "[bold]b[/x]", "c" * 300), ("longer", "é", ""), ("x",)]
    lines = table(rows, header, indent="  ").splitlines()[1 if header else 0 :]
    assert lines == [f"  a       [bold]b[/x]  {'c' * 300}", "  longer  é", "  x"]


def test_only_the_last_column_is_cut_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((20, 9)))
    assert table([("name", "x" * 50), ("long name", "y")]) == f"name       {'x' * 9}\nlong name  y"


def test_a_kind_of_names_and_a_folder_of_images_are_told(tmp_path: Path, capsys: Capture) -> None:
    assert "is a kind of names, which 'genkit list data' shows" in refusal(capsys, "info", "data")
    (tmp_path / "photos").mkdir()
    said = refusal(capsys, "info", tmp_path / "photos")
    assert "is a folder, and neither a run nor weights; of images 'genkit new" in said
