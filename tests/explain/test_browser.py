"""The page in a real browser, from a file: nothing is asked of a network, all is there, and a person can read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from genkit.explain.explanation_page import About, write_page
from tests.explain.chromium import Tab, program, started
from tests.explain.made import explanation

pytestmark = pytest.mark.skipif(program() is None, reason="no Chromium here: apt-get install chromium")

REASON = "The classifier gives the same answer to every image."
UNFOLD = "document.querySelectorAll('details').forEach(d => d.open = true)"
LOADED = "[...document.images].filter(i => i.complete && i.naturalWidth > 0).length"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with started(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def opened(tab: Tab, tmp_path: Path) -> Iterator[Tab]:
    """A page with a doubt."""
    path = tmp_path / "a folder" / "explanation.html"
    write_page(path, explanation(reasons=(REASON,)), About("the size classifier"))
    tab.faults.clear()
    tab.requests.clear()
    tab.open(path)
    yield tab
    tab.ask("Emulation.setEmulatedMedia", features=[])
    tab.ask("Emulation.clearDeviceMetricsOverride")


def test_it_opens_from_a_file_without_a_fault_or_a_network(opened: Tab) -> None:
    assert not opened.faults
    assert [url.rpartition("/")[2] for url in opened.requests] == ["explanation.html"]
    assert opened.requests[0].startswith("file:///")


def test_every_picture_is_there(opened: Tab) -> None:
    assert opened.value("document.images.length") == opened.value(LOADED) == 2 * 3 * 3 * 4
    assert opened.value("[...document.querySelectorAll('svg')].every(s => s.getBoundingClientRect().width > 50)")


def test_the_checks_are_seen_first(opened: Tab) -> None:
    text = opened.value("document.getElementById('checks').innerText")
    assert "Do not trust this page" in text and REASON in text and "Are the images redrawn faithfully?" in text
    top = opened.value("document.getElementById('checks').getBoundingClientRect().top")
    assert top < opened.value("document.images[0].getBoundingClientRect().top")
    assert opened.value("getComputedStyle(document.querySelector('#checks h2')).color") == "rgb(163, 33, 27)"


def test_doubted_changes_are_out_of_sight_until_they_are_asked_for(opened: Tab) -> None:
    seen = "document.images[0].checkVisibility()"
    assert opened.value(seen) is False
    opened.value(UNFOLD)
    assert opened.value(seen) is True


@pytest.mark.parametrize("width", [320, 390, 768, 1600])
def test_it_fits_a_phone_and_a_desk(opened: Tab, width: int) -> None:
    opened.value(UNFOLD)
    opened.ask("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500)
    assert opened.value("document.documentElement.scrollWidth") <= width
    assert opened.value("document.images[0].getBoundingClientRect().width") >= 50


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_light_and_dark(opened: Tab, scheme: str, dark: bool) -> None:
    opened.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    paper, ink = (
        opened.value(f"getComputedStyle(document.body).{name}.match(/\\d+/g).map(Number).reduce((a, b) => a + b)")
        for name in ("backgroundColor", "color")
    )
    assert (paper < 200 and ink > 550) if dark else (paper > 700 and ink < 200)


def test_faults_would_be_noticed(tab: Tab, tmp_path: Path) -> None:
    tab.faults.clear()
    tab.requests.clear()
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<img src='missing.png'><img src='http://127.0.0.1:9/x.png'><script>console.error('oh'); nothing.here</script>"
    )
    tab.open(bad)
    assert len(tab.faults) >= 3 and len(tab.requests) == 3
    assert tab.value(LOADED) == 0
