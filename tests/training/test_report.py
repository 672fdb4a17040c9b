"""report.html: complete, self-contained, and safe with any text."""

from __future__ import annotations

import json
import math
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from benchmarks.small_recipes import read, shrunk
from genkit.cli.subject import read_values
from genkit.core.documents import json_of_result, read_mapping
from genkit.images.pixels import write_png
from genkit.training import train
from genkit.training.curves import COLUMNS, Curve, draw, label, nice_ticks
from genkit.training.recipe import Recipe
from genkit.training.report import GRIDS, renewed, sum_of_sessions, write_report
from genkit.training.report_tables import score_tables
from genkit.training.run_folder import RunFolder

NASTY = "<script>alert('x')</script> & \"ünïcødé\""


class Page(HTMLParser):
    """Tags, the attributes that could load something, and the text."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "data"}]

    def handle_data(self, data: str) -> None:
        self.text += f" {data} "


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run with everything in it and nasty names."""
    folder = RunFolder(tmp_path)
    rows = [{"step": i, "seconds": i / 2, "critic/loss": 1 / i, f"critic/{NASTY}": float("nan")} for i in range(1, 30)]
    rows += [{"step": step, "seconds": 1.0, "eval/fd": 12.5} for step in (20, 30)]
    folder.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for step in range(1, 31):
        write_png(folder.grid(step), torch.zeros(1, 4, 4))
    write_png(folder.samples, torch.zeros(1, 4, 4))
    scores = {"values": {"fd": 12.5}, "standard_errors": {"fd": 0.25}, "labels": {"fd": f"FD/{NASTY}"}}
    scores |= {"n": 100, "warnings": ["few samples"], "floor": {"values": {"fd": 2.5}, "n": 50}}
    scores |= {"against": {"name": "pets", "notes": {"accepted": 3}}}
    write_png(folder.real, torch.zeros(1, 4, 4))
    rejected = [["a.png", "the file is empty"], [NASTY, "no image"]]
    data = {"name": "pets", "rows": ["1", "2", "3"], "shape": [3, 8, 8], "classes": [NASTY, "dog"]}
    intake = {"accepted": 3, "converted": {"rotated": 2}, "rejected": rejected}
    folder.data.write_text(json.dumps({**data, "intake": intake}))
    folder.scores.write_text(json.dumps(scores))
    folder.environment.write_text(json.dumps({"python": NASTY, "versions": {"torch": "2"}, "gpu": None}))
    return folder


def test_what_changed_on_the_way_is_told_beside_the_environment(folder: RunFolder) -> None:
    entry = {
        "iteration": 7,
        "recipe": ["train.steps: 20 -> 30"],
        "changed": [f"torch: 2 -> {NASTY}"],
        "environment": {},
    }
    folder.history.write_text(json.dumps({"changes": [entry, "damage"]}))
    text = report(folder).text
    assert "from iteration 7" in text and "train.steps: 20 -> 30; torch: 2 -> <script>" in text


def report(folder: RunFolder, description: str = "") -> Page:
    recipe = Recipe.load("digits/wgan_ratio_clipping", [f"description={json.dumps(description)}"])
    write_report(folder, recipe)
    return Page(folder.report.read_text(encoding="utf-8"))


def test_text_is_escaped_and_nothing_is_loaded(folder: RunFolder) -> None:
    page = report(folder, NASTY)
    assert "script" not in page.tags and page.text.count(NASTY) >= 4
    assert page.sources and all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert not re.search(r"https?://|@import|url\(", folder.report.read_text(encoding="utf-8"))


def test_everything_is_shown(folder: RunFolder) -> None:
    text = " ".join(report(folder).text.split())
    assert "12.5 ± 0.25 5 times what real samples get (2.5)" in text and "n 100" in text and "few samples" in text
    assert "against real ones, 50 of each" in text and "notes" not in text
    assert "samples 3 of 5 files" in text and "converted: rotated 2" in text and "a.png the file is empty" in text
    assert "dcgan_generator" in text and "versions torch 2" in text
    assert report(folder).tags.count("img") == GRIDS + 2
    assert report(folder).tags.count("svg") == 3


def test_a_score_that_is_no_number_is_shown_as_such(folder: RunFolder) -> None:
    folder.scores.write_bytes(json_of_result({"values": {"fd": math.nan, "kd": 1.5}}))
    assert [row[:2] for row in score_tables(read_mapping(folder.scores))["values"]] == [("fd", "nan"), ("kd", "1.5")]
    assert str(read_values(folder.scores)) == "{'fd': nan, 'kd': 1.5}"


def test_the_page_of_a_run_under_way_shows_its_newest_samples_and_scores(folder: RunFolder) -> None:
    folder.samples.unlink()
    folder.scores.rename(folder.so_far)
    folder.so_far.write_text(json.dumps(json.loads(folder.so_far.read_text()) | {"iteration": 20}))
    write_report(folder, Recipe.load("digits/wgan_ratio_clipping"), under_way=True)
    text = " ".join(Page(folder.report.read_text(encoding="utf-8")).text.split())
    assert "Samples at iteration 30" in text and "Scores at iteration 20" in text and not folder.reported
    assert "Samples Real" not in text
    report(folder)
    assert folder.reported


def test_a_report_that_fails_costs_a_line() -> None:
    def fails() -> None:
        raise ValueError("no room")

    told = list[str]()
    renewed(fails, told.append)
    assert told == ["the report was not written, all else goes on: no room"]


def test_an_empty_folder_gives_a_report_of_the_recipe(tmp_path: Path) -> None:
    page = report(RunFolder(tmp_path))
    assert "dcgan_generator" in page.text and "svg" not in page.tags and "img" not in page.tags


def test_damaged_files_are_left_out(folder: RunFolder) -> None:
    folder.scores.write_text("{")
    folder.environment.write_text("[]")
    with open(folder.metrics, "a", encoding="utf-8") as file:
        file.write('{"step": 3')
    assert "svg" in report(folder).tags


def test_time_counts_every_session() -> None:
    assert sum_of_sessions([{"seconds": s} for s in (1.0, 3.0, 0.5, 2.5)]) == 5.5


def coordinates(svg: str) -> list[tuple[float, float]]:
    line = ElementTree.fromstring(svg).find(".//path[@class='line']")
    assert line is not None
    return [(float(x), float(y)) for x, y in (pair.split(" ") for pair in line.attrib["d"][1:].split("L"))]


def test_larger_values_are_drawn_higher_and_later_ones_to_the_right() -> None:
    drawn = coordinates(draw(Curve([(1, 0.0), (2, 1.0), (3, -5.0)])))
    assert drawn[0][0] < drawn[1][0] < drawn[2][0]
    assert drawn[1][1] < drawn[0][1] < drawn[2][1], "y grows downwards in SVG"


def test_words_stay_inside_and_colours_are_left_to_the_page() -> None:
    svg = draw(Curve([(1, 1.0), (1_000_000, 2.0)]), dots=True)
    anchors = {text.text: text.attrib["text-anchor"] for text in ElementTree.fromstring(svg).iter("text")}
    assert anchors["1,000,000"] == "end" and anchors["0"] == "start"
    assert svg.count('class="dots"') == 2 and "style" not in svg and "#" not in svg


def test_long_curves_keep_their_extremes_as_a_band() -> None:
    points = [(float(i), 100.0 if i == 5000 else 0.0) for i in range(10_000)]
    curve = Curve(points)
    assert len(curve.stretches) <= COLUMNS and max(high for *_, high in curve.stretches) == 100
    assert 'class="band"' in draw(curve)


@pytest.mark.parametrize("values", [[], [float("nan")], [1.0], [2.0, 2.0], [0.0, 0.0], [1e300, -1e300], [1e-300]])
def test_any_values_give_a_picture(values: list[float]) -> None:
    ElementTree.fromstring(draw(Curve(list(enumerate(values)))))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 14.1), (0.299, 0.301), (5, 5), (0, 0), (1e-9, 1e9)])
def test_ticks_are_few_and_enclose(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low + 1e-9 and ticks[-1] >= high - 1e-9
    assert 2 <= len(ticks) <= 6 and ticks == sorted(set(ticks))


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (0.25, "0.25"), (1234, "1,234"), (3.14e-7, "3.1e-07")])
def test_labels_are_short(value: float, text: str) -> None:
    assert label(value) == text


def test_names_that_are_no_text_cost_no_report(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/pets"))
    for name in (b"a.png", b"b.png"):
        write_png(Path(os.fsdecode(os.fsencode(odd) + b"/cl\xff/" + name)), torch.zeros(1, 8, 8))
    (Path(os.fsdecode(os.fsencode(odd) + b"/cl\xff/bad\xff.png"))).write_text("no image")
    tree = shrunk(read("fashion_mnist/wgan_gp"), 1)
    tree["data"] = {"type": "folder", "path": str(odd), "size": 28, "channels": 1, "enlarge": True, "skip_bad": True}
    tree["train"]["batch_size"] = 2
    run = train(Recipe.from_dict(tree), tmp_path / "run")
    assert RunFolder(run).reported and r"\udcff" in (run / "report.html").read_text()
    assert (run / "weights/README.md").is_file()


@pytest.mark.parametrize(
    ("finished", "generator", "legend"),
    [
        (True, {"type": "directions"}, "A row a direction"),
        (True, {"type": "controlled"}, "A row an attribute"),
        (False, {"type": "styleex"}, "below each row what the generator makes of it"),
        (True, {"type": "gan", "class_names": ["cat", "dog"]}, "4 columns a class: 0: cat, 1: dog"),
        (True, {"type": "gan", "class_names": list("abcde")}, "A class a column: 0: a, 1: b, 2: c, 3: d, 4: e"),
    ],
)
def test_pictures_say_what_their_rows_and_columns_are(folder, finished, generator, legend) -> None:
    recipe = Recipe.load("digits/wgan_ratio_clipping")
    assert legend not in report(folder).text
    if finished:
        folder.weights.mkdir()
        (folder.weights / "config.json").write_text(json.dumps(generator))
    else:
        recipe.system["generator"] = generator
    write_report(folder, recipe)
    assert legend in " ".join(Page(folder.report.read_text(encoding="utf-8")).text.split())
