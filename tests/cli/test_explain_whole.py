"""genkit explain train as it is typed, nothing left out: from a classifier of one's own to a page in a browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from genkit.images.pixels import write_folder
from tests.cli.console import run
from tests.cli.test_explain_train import NET, levels
from tests.explain.chromium import Tab, program, started

Capture = pytest.CaptureFixture[str]
BROWSED = pytest.mark.skipif(program() is None, reason="no Chromium here: apt-get install chromium")
SHIPPED = Path(__file__).parents[2] / "docs/explanations/mnist-styleex.html"
LOADED = "[...document.images].filter(i => i.complete && i.naturalWidth > 0).length"
LINE = ("explain", "train", "whole_net:Net", "pics", "--out", "run", "--size", 16, "--classes", "dark,light")


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with started(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


def opened(tab: Tab, page: Path) -> Tab:
    """A page whose pictures are all there, which asked for nothing but itself, and has no fault."""
    tab.faults.clear()
    tab.requests.clear()
    tab.open(page)
    assert not tab.faults and [url.rpartition("/")[2] for url in tab.requests] == [page.name]
    assert tab.value("document.images.length") == tab.value(LOADED)
    return tab


def tab_text(tab: Tab, page: Path) -> str:
    """All that a page says, unfolded."""
    opened(tab, page).value("document.querySelectorAll('details').forEach(d => d.open = true)")
    return str(tab.value("document.body.innerText"))


@pytest.mark.slow
@BROWSED
def test_from_a_classifier_to_a_page_that_is_read(
    tab: Tab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("whole_net.py").write_text(NET)
    write_folder([levels(60)], tmp_path / "pics")
    ran = run(capsys, *LINE, "--steps", 30, "-n", 16, "--seed", 4)
    assert ran.code == 0, ran
    recipe = yaml.safe_load(Path("run/recipe.yaml").read_text())
    terms = {term["type"]: term["weight"] for term in recipe["system"]["penalties"] if "weight" in term}
    assert terms.keys() >= {"r1", "reconstruction", "perceptual", "latent_reconstruction"}
    assert "agreement" in {term["type"] for term in recipe["system"]["penalties"]}
    text = opened(tab, tmp_path / "run/explanation/explanation.html").value("document.body.innerText")
    assert "Do not trust this page" in text, "three steps teach nothing"
    assert "dark" in text and "light" in text
    again = run(capsys, *LINE, "--resume")
    assert again.code == 0, again
    for words, told in (
        (("--selection", "notebook", "--realistic"), ("as in the authors' notebook", "750 coordinates", "left out")),
        (("--selection", "share"), ("those that move most images", "not looked for", "searched too")),
        (("--without-colours",), ("not searched",)),
    ):
        ran = run(capsys, "explain", "run", "pics", "--out", words[-1].strip("-"), "-n", 16, *words)
        assert ran.code == 0, ran
        facts = tab_text(tab, tmp_path / words[-1].strip("-") / "explanation.html")
        assert all(line in facts for line in told), facts
    kept = json.loads(Path("realistic/explanation.json").read_text())["settings"]
    assert kept["selection"]["name"] == "NotebookSelection" and kept["realistic"] and kept["unstable"] == [2.0, 750]
    bare = json.loads(Path("without-colours/explanation.json").read_text())
    layers = {found["layer"] for attributes in bare["attributes"].values() for found in attributes}
    assert not bare["settings"]["colours"] and not any("torgb" in layer for layer in layers)
    shutil.rmtree("run/weights/critic")
    Path("run/weights/products.json").unlink()
    ran = run(capsys, "explain", "run", "pics", "--out", "none", "-n", 16, "--realistic")
    assert ran.code == 2 and "no critic lies beside the weights of run; give the run that trained them" in ran.err


@BROWSED
def test_the_shipped_page(tab: Tab) -> None:
    text = opened(tab, SHIPPED).value("document.body.innerText")
    assert "Do not trust this page" not in text and tab.value("document.images.length") > 50
