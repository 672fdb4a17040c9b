"""The page in a real browser: choose weights, slide, move, sample, drop an image, watch a run, read pages.

Its pictures are those of the command line, and nothing is asked of a network.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from genkit.cli.main import main
from tests.cli.conftest import finished, recipe, vae  # noqa: F401
from tests.cli.console import run
from tests.contracts.specs import CLASSIFIER, GENERATOR_SPECS, JOINED_G, STYLEEX, seeded
from tests.explain.chromium import program
from tests.explain.made import explanation

pytest.importorskip("gradio", reason="pip install 'genkit[ui]'")
playwright = pytest.importorskip("playwright.sync_api", reason="pip install 'genkit[dev]'")
pytestmark = pytest.mark.skipif(program() is None, reason="no Chromium here: apt-get install chromium")

PATIENCE_MS = 120_000
TWO_CLASSES = {**STYLEEX, "network": {**JOINED_G, "appended": 2}, "classifier": {**CLASSIFIER, "classes": 2}}
DCGAN = {"type": "gan", "network": {"type": "dcgan_generator", "latent_dim": 3, "size": 8, "width": 4}}
COUNTED = """
window.made = 0;
const count = node => node.nodeType === 1 && (node.id === 'draw' || node.querySelector('#draw'));
new MutationObserver(changes => changes.forEach(change => {
  if ([...change.addedNodes].some(count)) window.made += 1;
})).observe(document, {childList: true, subtree: true});
"""
"""Counts how often the knobs are made."""
LEFT_BEHIND = "<script>document.title = 'ran'</script><p>An explanation.</p><img src='http://127.0.0.1:{port}/x.png'>"


@dataclass
class Visit:
    """A visitor's page.

    Attributes:
        faults: errors of the console, exceptions, and answers that are none.
        foreign: addresses of other servers that were asked.
    """

    page: Any
    address: str
    faults: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.page.on("console", lambda said: said.type == "error" and self.faults.append(said.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("response", lambda got: got.status >= 400 and self.faults.append(f"{got.status} {got.url}"))
        self.page.on("request", lambda asked: self._own(asked.url) or self.foreign.append(asked.url))

    def _own(self, url: str) -> bool:
        return url.startswith((self.address, "data:", "blob:"))

    def choose(self, label: str, option: str) -> None:
        self.page.get_by_label(label, exact=True).click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def shows(self, text: str) -> None:
        """Waits until the line below the picture of samples has this text."""
        self.page.wait_for_function(
            "text => document.querySelector('#picture figcaption')?.innerText.includes(text)", arg=text
        )

    def slide(self, name: str, keys: str) -> None:
        """Moves a slider by keys of the keyboard."""
        slider = self.page.get_by_role("slider", name=name)
        slider.focus()
        for key in keys.split():
            slider.press(key)

    def png(self, place: str, other_than: bytes = b"") -> bytes:
        """The picture there, once there is one, and another than before."""
        before = base64.b64encode(other_than).decode()
        look = (
            f"before => {{const i = document.querySelector('{place} img'); return i && i.src.split(',')[1] !== before}}"
        )
        self.page.wait_for_function(look, arg=before)
        return base64.b64decode(self.page.get_attribute(f"{place} img", "src").partition(",")[2])

    def command(self, place: str) -> list[str]:
        """The command below the picture, without `genkit`."""
        return shlex.split(self.page.inner_text(f"{place} pre"))[1:]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, finished: Path, vae: Path) -> Iterator[Path]:  # noqa: F811
    """A folder with a finished run, weights of some kinds, pages and an image; the current one meanwhile."""
    from genkit.explain.explanation_page import About, write_page
    from genkit.images.pixels import write_png

    folder, before = tmp_path_factory.mktemp("here"), Path.cwd()
    finished.rename(folder / "tiny")
    vae.rename(folder / "vae")
    (folder / "page").mkdir()
    (folder / "page" / "explanation.html").write_text(LEFT_BEHIND)
    write_png(folder / "image.png", torch.rand(1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    for name, spec in {"controlled": GENERATOR_SPECS["controlled-0"], "styleex": TWO_CLASSES, "gan": DCGAN}.items():
        seeded(spec).save_pretrained(folder / name)
    write_page(folder / "explained" / "explanation.html", explanation(), About("the size classifier"))
    os.chdir(folder)
    found = ["--method", "coordinate", "-k", "2", "--score-steps", "0", "--out", "found"]
    assert main(["directions", "gan", *found]) == 0
    yield folder
    os.chdir(before)
    (folder / "tiny").rename(finished)


@pytest.fixture(scope="module")
def address(here: Path) -> Iterator[str]:
    """The page of that folder, served by a thread."""
    from genkit.cli.web.library import Library
    from genkit.cli.web.server import application, bound, own_uploads, server

    with own_uploads(), bound("127.0.0.1", 0) as listening:
        made = server(application(Library(Path()), "127.0.0.1"))
        thread = threading.Thread(target=made.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        made.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program(), args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Visit]:
    """The page, opened, with its first picture; at the end nothing has gone wrong in it."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    found = Visit(page, address)
    found.listen()
    page.goto(address)
    found.png("#picture")
    yield found
    page.close()
    assert not found.faults
    assert not found.foreign


def written(capsys: pytest.CaptureFixture[str], words: list[str], out: str) -> bytes:
    """The picture that a command line writes to a new folder `out`."""
    shutil.rmtree(out, ignore_errors=True)
    ran = run(capsys, *words)
    assert ran.code == 0, ran.err
    return (Path(out) / "grid.png").read_bytes()


def test_samples_are_those_of_the_command_line(visit: Visit, capsys: pytest.CaptureFixture[str]) -> None:
    first = visit.png("#picture")
    visit.choose("Weights", "tiny")
    visit.page.get_by_label("label", exact=True).wait_for()
    drawn = visit.png("#picture", first)
    words = visit.command("#picture")
    assert words == ["sample", "tiny", "-n", "9", "--seed", "0", "--out", "samples", "--grid"]
    assert drawn == written(capsys, words, "samples")
    visit.choose("label", "3")
    labelled = visit.png("#picture", drawn)
    words = visit.command("#picture")
    assert "label=3" in words and labelled == written(capsys, words, "samples")
    slider = visit.page.get_by_role("slider", name="samples")
    slider.focus()
    slider.press("ArrowRight")
    visit.page.locator("#seed input").fill("5")
    visit.page.locator("#draw").click()
    visit.page.wait_for_function("document.querySelector('#picture pre').innerText.includes('--seed 5')")
    words = visit.command("#picture")
    assert words[2:6] == ["-n", "10", "--seed", "5"]
    assert visit.png("#picture") == written(capsys, words, "samples")


def test_knobs_are_made_once_for_each_weights(browser: Any, address: str) -> None:
    """What a visitor opens or sets stays, as nothing makes the knobs anew behind a first picture."""
    page = browser.new_page()
    page.add_init_script(COUNTED)
    page.goto(address)
    visit = Visit(page, address)
    visit.png("#picture")
    page.wait_for_timeout(3000)
    assert page.evaluate("made") == 1
    visit.choose("Weights", "controlled")
    page.get_by_role("button", name="Truncation of parts").wait_for()
    page.wait_for_timeout(3000)
    assert page.evaluate("made") == 2
    page.close()


def test_one_change_alone_makes_a_part_of_the_page_anew(here: Path) -> None:
    """Two that come together, such as the page's loading and its first weights, make it twice on a busy machine."""
    from genkit.cli.web.library import Library
    from genkit.cli.web.page import page

    made = {part.fn.__name__: len(part.triggers) for part in page(Library(here)).renderables}
    assert made == {"knobs": 1, "build": 1}


def test_controls_are_those_of_the_command_line(visit: Visit, capsys: pytest.CaptureFixture[str]) -> None:
    visit.choose("Weights", "controlled")
    ticked = visit.page.get_by_role("checkbox", name="rest", exact=True)
    ticked.wait_for()
    assert not visit.page.get_by_role("slider", name="rest").count()
    ticked.check()
    visit.shows("rest ")
    visit.slide("rest", "Home ArrowRight ArrowRight")
    visit.page.wait_for_function("document.querySelector('#picture pre').innerText.includes('rest=0.01')")
    visit.choose("shape", "cross")
    visit.page.wait_for_function("document.querySelector('#picture pre').innerText.includes('shape=cross')")
    words = visit.command("#picture")
    assert [word for word in words if "=" in word] == ["rest=0.01", "shape=cross"]
    assert visit.png("#picture") == written(capsys, words, "samples")
    visit.page.get_by_label("number input for rest").fill("0.25")
    visit.shows("rest 0.25")
    visit.page.locator("#again").click()
    visit.shows("seed 1, rest 0.25")
    assert visit.png("#picture") == written(capsys, visit.command("#picture"), "samples")


def test_one_part_of_a_latent_is_truncated(visit: Visit, capsys: pytest.CaptureFixture[str]) -> None:
    visit.choose("Weights", "controlled")
    visit.page.get_by_role("button", name="Truncation of parts").click()
    whole = visit.png("#picture")
    visit.page.get_by_role("checkbox", name="truncation of rest").check()
    part = visit.png("#picture", whole)
    words = visit.command("#picture")
    assert words[words.index("--truncation") + 1] == "rest=0.7"
    assert part == written(capsys, words, "samples")


def test_what_a_classifier_sees_is_asked_for(visit: Visit, capsys: pytest.CaptureFixture[str]) -> None:
    visit.choose("Weights", "styleex")
    visit.page.get_by_role("checkbox", name="probabilities").check()
    visit.shows("probabilities 0.5/0.5")
    visit.slide("probabilities", "End")
    visit.shows("probabilities 0/1")
    assert visit.png("#picture") == written(capsys, visit.command("#picture"), "samples")


def test_directions_are_found_moved_along_and_read(visit: Visit, capsys: pytest.CaptureFixture[str]) -> None:
    visit.choose("Weights", "gan")
    listed = visit.page.get_by_label("direction", exact=True)
    listed.wait_for()
    still = visit.png("#picture")
    listed.click()
    visit.page.get_by_role("option", name="found: direction 1").click()
    visit.shows("moved by 2 along direction 1 of found")
    visit.slide("strength", "Home")
    visit.shows("moved by -6 along direction 1 of found")
    first, second = visit.page.inner_text("#picture pre").splitlines()
    assert run(capsys, *shlex.split(first)[1:]).code == 0
    moved = visit.png("#picture", still)
    assert moved == written(capsys, shlex.split(second)[1:], "samples")
    visit.page.get_by_role("tab", name="Pages").click()
    visit.choose("Page", "found/directions.html")
    frame = visit.page.frame_locator("#read iframe")
    frame.get_by_role("heading", name="Directions of gan").wait_for()
    assert frame.locator("article").count() == pictures(frame) == 2


def test_directions_that_are_found_later_are_listed(visit: Visit, here: Path) -> None:
    visit.choose("Weights", "gan")
    visit.png("#picture")
    shutil.copytree(here / "found", here / "later")
    visit.page.get_by_role("tab", name="Pages").click()
    visit.page.get_by_role("tab", name="Samples").click()
    listed = visit.page.get_by_label("direction", exact=True)
    listed.wait_for()
    later = visit.page.get_by_role("option", name="later: direction 1")
    for _ in range(20):
        listed.click()
        if later.count():
            break
        listed.press("Escape")
        visit.page.wait_for_timeout(500)
    later.click()
    visit.shows("moved by 2 along direction 1 of later")
    shutil.rmtree(here / "later")


def test_an_explanation_is_read(visit: Visit) -> None:
    visit.page.get_by_role("tab", name="Pages").click()
    visit.choose("Page", "explained/explanation.html")
    frame = visit.page.frame_locator("#read iframe")
    frame.get_by_role("heading", name="the size classifier").wait_for()
    assert "Are the images redrawn faithfully?" in frame.locator("#checks").inner_text()
    assert pictures(frame) == 2 * 3 * 3 * 4


def test_the_report_of_a_running_training_is_renewed(visit: Visit, here: Path) -> None:
    report = here / "renewed/report.html"
    report.parent.mkdir()
    text = '<meta http-equiv="refresh" content="1"><h1>{} of 200</h1>'
    report.write_text(text.format(0))
    visit.page.get_by_role("tab", name="Pages").click()
    visit.choose("Page", "renewed/report.html")
    frame = visit.page.frame_locator("#read iframe")
    frame.get_by_role("heading", name="0 of 200", exact=True).wait_for()
    report.write_text(text.format(20))
    frame.get_by_role("heading", name="20 of 200", exact=True).wait_for()


def pictures(frame: Any) -> int:
    """Images in a page that are there to be seen."""
    found: int = frame.locator("html").evaluate(
        "page => [...page.querySelectorAll('img')].filter(i => i.complete && i.naturalWidth > 0).length"
    )
    return found


def test_weights_say_what_they_are(visit: Visit) -> None:
    visit.choose("Weights", "mnist-exemplar-vae")
    visit.page.get_by_text("28x28 grey digits by example").wait_for()
    visit.choose("Weights", "gan")
    visit.page.get_by_role("tab", name="Your image").click()
    visit.page.get_by_text("neither vary an image nor score one. Of the shipped ones these do:").wait_for()
    visit.page.get_by_role("button", name="fashion-mnist-exemplar-vae").click()
    visit.page.locator("#vary").wait_for()


def test_a_run_that_is_new_is_listed(visit: Visit, here: Path) -> None:
    late = here / "late"
    late.mkdir()
    (late / "recipe.yaml").write_text("name: late")
    (late / "metrics.jsonl").write_text("")
    visit.page.get_by_role("tab", name="Training").click()
    visit.choose("Run", "late")
    visit.page.get_by_text("nothing is logged yet").wait_for()
    shutil.rmtree(late)


def test_the_way_between_two_seeds(visit: Visit, capsys: pytest.CaptureFixture[str]) -> None:
    first = visit.png("#picture")
    visit.page.get_by_role("button", name="Between two seeds").click()
    visit.page.locator("#way").click()
    drawn = visit.png("#picture", first)
    assert drawn == written(capsys, visit.command("#picture"), "samples")
    assert "8 samples from seed 0 to seed 1" in visit.page.inner_text("#picture figcaption")


def test_an_image_is_varied_and_scored(visit: Visit, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    visit.choose("Weights", "vae")
    visit.page.get_by_role("tab", name="Your image").click()
    visit.page.locator("#dropped input[type=file]").set_input_files(here / "image.png")
    drawn = visit.png("#varied")
    words = [word.replace("IMAGE", "image.png") for word in visit.command("#varied")]
    assert drawn == written(capsys, words, "edited")
    visit.page.locator("#score").click()
    visit.page.wait_for_selector("#scored table")
    (here / "one").mkdir()
    (here / "one" / "image.png").write_bytes((here / "image.png").read_bytes())
    assert run(capsys, "score-images", "vae", "one", "--out", "scores.csv").code == 0
    score = float((here / "scores.csv").read_text().split()[-1].split(",")[-1])
    assert f"{score:.6g}" in visit.page.inner_text("#scored table")


def test_a_run_is_watched(visit: Visit, here: Path) -> None:
    visit.page.get_by_role("tab", name="Training").click()
    visit.page.wait_for_selector("#watched .curves svg")
    assert "iteration 4 of 4; finished" in visit.page.inner_text("#watched")
    with open(here / "tiny" / "metrics.jsonl", "a") as log:
        log.write('{"step": 6, "seconds": 1.0, "generator/loss": 0.5}\n')
    visit.page.wait_for_function("document.querySelector('#watched').innerText.includes('iteration 6')")


def test_a_page_is_read_and_runs_nothing(browser: Any, address: str, here: Path) -> None:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        text = LEFT_BEHIND.format(port=elsewhere.getsockname()[1])
        (here / "page" / "explanation.html").write_text(text)
        page.goto(address)
        page.get_by_role("tab", name="Pages").click()
        Visit(page, address).choose("Page", "page/explanation.html")
        frame = page.frame_locator("#read iframe")
        frame.get_by_text("An explanation.").wait_for()
        page.wait_for_function("document.querySelector('#read iframe').clientHeight > 300")
        assert frame.locator("html").evaluate("() => document.title") != "ran"
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    page.close()


def test_faults_would_be_noticed(browser: Any, address: str) -> None:
    page = browser.new_page()
    visit = Visit(page, address)
    visit.listen()
    page.goto(f"{address}pages/none")
    page.evaluate("console.error('oh'); fetch('http://127.0.0.1:9/').catch(() => 0)")
    page.wait_for_timeout(200)
    assert len(visit.faults) >= 2 and visit.foreign
    page.close()


def answered(address: str, path: str, host: str = "") -> tuple[int, bytes]:
    """Status and body of a raw request; the path is sent as it is."""
    name, _, port = address.removeprefix("http://").strip("/").partition(":")
    with socket.create_connection((name, int(port)), timeout=60) as line:
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: {host or name}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    return int(answer.split()[1]), answer


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=image.png",
        "/gradio_api/file=../../etc/passwd",
        "/pages//etc/passwd",
        "/pages/../../../../etc/passwd",
        "/pages/image.png",
        "/pages/tiny/recipe.yaml",
    ],
)
def test_no_other_file_is_given(address: str, path: str) -> None:
    status, answer = answered(address, path)
    assert status in (403, 404) and b"root:" not in answer


def test_only_this_machine_is_answered(address: str) -> None:
    assert answered(address, "/")[0] == 200
    assert answered(address, "/", "evil.example")[0] == 400


@pytest.mark.parametrize("given", ["image.png", "{here}/image.png", "{uploads}/../x.png", "/etc/passwd", "{elsewhere}"])
def test_only_dropped_files_are_read(visit: Visit, here: Path, given: str) -> None:
    visit.choose("Weights", "vae")
    visit.page.get_by_role("tab", name="Your image").click()
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        address = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/x.png"
        path = given.format(here=here, uploads=os.environ["GRADIO_TEMP_DIR"], elsewhere=address)

        def forged(route: Any, request: Any) -> None:
            sent = request.post_data_json
            route.continue_(post_data=json.dumps({**sent, "data": [other_path(part, path) for part in sent["data"]]}))

        visit.page.route("**/queue/join*", forged)
        visit.page.locator("#dropped input[type=file]").set_input_files(here / "image.png")
        visit.page.get_by_text("only files that were dropped here are read").first.wait_for()
        assert not visit.page.locator("#varied img").count()
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def other_path(part: Any, path: str) -> Any:
    """An input, with another path where it has one."""
    return {key: path if key == "path" else value for key, value in part.items()} if isinstance(part, dict) else part
