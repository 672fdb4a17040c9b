"""The page of an explanation: self-contained, escaped, loud where it is not to be trusted."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import torch

from genkit.explain.difference import full_colour
from genkit.explain.explanation import Explanation
from genkit.explain.explanation_page import SHOWN, About, page, write_page
from genkit.explain.facts import facts
from genkit.explain.selection import NotebookSelection, ShareSelection
from genkit.explain.words import between, enough, moved, percent
from genkit.images.property_changes import IN_WORDS
from tests.explain.made import LARGE, SMALL, explanation

ABOUT = About("the size classifier", (("generator", "runs/x"),))


class Outside(HTMLParser):
    """Addresses of a page that lead out of it, tags, and its text."""

    def __init__(self, html: str):
        super().__init__()
        self.found, self.tags, self.text = list[str](), list[str](), ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "data") and not str(value).startswith(("data:image/", "#")):
                self.found.append(str(value))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_nothing_outside_the_file_is_needed() -> None:
    html = page(explanation(), ABOUT)
    read = Outside(html)
    assert not read.found and not {"script", "link", "iframe", "object"} & set(read.tags)
    assert not re.search(r"url\(|@import|https?://", html)
    assert read.tags.count("img") == 2 * 3 * 3 * 4


def test_checks_come_first_and_a_doubt_is_loud() -> None:
    for made, shown, hidden in (
        (explanation(), "Can this be trusted?", "Do not trust this page"),
        (explanation(reasons=("The classifier is saturated.",)), "Do not trust this page", "Can this be trusted?"),
    ):
        text = Outside(page(made, ABOUT)).text
        assert text.index(shown) < text.index("How to read the pictures") and hidden not in text
        assert all(reason in text for reason in made.checks.reasons)


def test_a_failed_check_is_a_doubt_though_nobody_gave_a_reason() -> None:
    for change in ({"l1": 0.5}, {"l1": float("nan")}, {"agreement": 0.6}, {"redrawn_decides": 0.3}):
        made = explanation()
        html = page(replace(made, checks=replace(made.checks, **change)), ABOUT)
        assert "Do not trust this page" in html, change


def test_what_comes_from_elsewhere_is_escaped() -> None:
    bad = "<script>alert(1)</script>"
    html = page(explanation(classes=(bad, "b&b"), reasons=(bad,)), About(bad, ((bad, bad),), bad))
    assert "<script" not in html and "&lt;script&gt;" in html and "b&amp;b" in html


def test_an_empty_explanation_is_a_page_too() -> None:
    made = explanation()
    empty = replace(made, attributes={SMALL: [], LARGE: []}, examples={}, sufficiency={}, random={})
    assert "No attribute was found that turns images into “small”." in page(empty, ABOUT)


def test_only_the_first_attributes_have_pictures() -> None:
    made = explanation()
    many = replace(
        made,
        attributes={t: a * 4 for t, a in made.attributes.items()},
        examples={t: e * 4 for t, e in made.examples.items()},
    )
    html = page(many, ABOUT)
    assert html.count("<article>") == 2 * SHOWN and f"{12 - SHOWN} weaker ones are in explanation.json" in html


def test_each_class_has_its_own_line_of_what_it_is_told() -> None:
    lines = [re.findall('class="alone" d="([^"]*)"', part) for part in page(explanation(), ABOUT).split("<figure")]
    assert [len(found) for found in lines if found] == [1, 1] and len({found[0] for found in lines if found}) == 2
    before = replace(explanation(), alone={})
    single = replace(explanation(), sufficiency={y: [0.5] for y in explanation().sufficiency})
    unknown = replace(explanation(), alone=dict.fromkeys(explanation().alone, float("nan")))
    assert all('class="alone" d' not in page(one, ABOUT) for one in (before, single, unknown))
    assert not any("dotted line" in words(one) for one in (before, single, unknown)) and "dotted line" in words(
        explanation()
    )
    legend = "told another class, nothing else changed"
    assert not any(legend in words(one) for one in (before, single, unknown))
    half = replace(explanation(), alone={SMALL: 0.4, LARGE: float("nan")})
    assert words(half).count(legend) == 1 and words(explanation()).count(legend) == 2


def test_names_do_not_turn_the_sentences_that_they_stand_in() -> None:
    turned = explanation(classes=("\u202esmall", "\u2067large"), reasons=("Towards \u202esmall nothing is found.",))
    html = page(turned, ABOUT)
    assert not {"\u202e", "\u2067"} & set(html) and "“small”" in html and "Towards small nothing" in html


def test_checks_that_are_unknown_are_read_again_as_such(tmp_path: Path) -> None:
    made = explanation()
    replace(made, checks=replace(made.checks, l1=float("nan"), redrawn_decides=None)).save(tmp_path)
    checks = Explanation.load(tmp_path).checks
    assert (
        checks.l1 != checks.l1
        and checks.redrawn_decides is None
        and "an unknown share" in words(Explanation.load(tmp_path))
    )


def test_an_average_image_that_is_no_worse_is_said_in_words() -> None:
    made = explanation()
    html = page(replace(made, checks=replace(made.checks, l1=0.22, l1_of_mean_image=0.221)), ABOUT)
    assert "11\xa0% of the way from black to white on average, and as much if the average image were shown" in html


def test_shares_of_few_images_say_so() -> None:
    assert enough([0.5], [0.0], "4", 1).startswith("The first change alone turns 50\xa0% of 1 image that")
    assert enough([0.5], [0.0], "4", 19).endswith(" So few images say little.")
    assert "say little" not in enough([0.5], [0.0], "4", 20)


def test_many_classes_are_counted_and_what_is_unknown_is_said() -> None:
    made = explanation(classes=tuple(f"kind {i}" for i in range(1000)))
    unknown = replace(made, only_probabilities=float("nan"), random={t: [float("nan")] for t in made.random})
    html = page(unknown, ABOUT)
    assert "sorts images into 1,000 classes." in html and "kind 999" not in html
    assert "nan" not in Outside(html).text and "nan" not in "".join(re.findall("<svg.*?</svg>", html))


def test_the_images_searched_are_counted_without_the_others() -> None:
    made = explanation()
    html = page(replace(made, data={**made.data, "n": 500, "searched": 240, "others": 260}), ABOUT)
    assert "in 240 images" in html and "240 of shapes/test" in html and "500" not in Outside(html).text
    assert "Share of other images that turn" in html
    html = page(replace(made, data={**made.data, "outside": {"0": 131, "1": 129}}), ABOUT)
    assert "Share of 131 other images that turn" in html and "Share of 129 other images that turn" in html


def test_a_shift_of_the_centre_is_called_one_and_comes_after_changes_as_strong() -> None:
    """Where the upper part of a 9 fades nothing moves but its centre of mass."""
    strong = moved({IN_WORDS["down"]: 1.6, IN_WORDS["area"]: -1.1, IN_WORDS["across"]: 0.9, "brightness": -0.6})
    assert [name for name, _ in strong] == [
        *("much less of it stands out", "its centre of mass lies much lower"),
        *("the image is clearly darker", "its centre of mass lies clearly further right"),
    ]
    still = moved({IN_WORDS["down"]: 0.1, IN_WORDS["area"]: 0.6})
    assert still[1] == ("how far down its centre of mass lies", "hardly changes")
    made, note = (
        explanation(),
        "Its centre of mass moves when all of it moves, and also when a part of it fades or grows",
    )
    for name, told in ((IN_WORDS["down"], True), ("size", False)):
        found = {t: [replace(a, moves={name: 1.0}) for a in all_] for t, all_ in made.attributes.items()}
        assert (note in words(replace(made, attributes=found))) is told


def words(made: Explanation, about: About = ABOUT) -> str:
    return re.sub(r"\s+", " ", Outside(page(made, about)).text)


def test_rows_are_said_to_be_those_that_change_most() -> None:
    made = explanation()
    assert "The 3 of the images searched and not called “small” that change most." in words(made)
    counted = words(replace(made, data={**made.data, "searched_outside": {"0": 131, "1": 119}}))
    assert "The 3 of 131 images searched and not called “small” that change most." in counted
    assert "The 3 of 119 images searched and not called “large” that change most." in counted
    n, most = len(made.attributes[SMALL][0].effects), float(made.attributes[SMALL][0].effects.max())
    assert f"Of all {n} images searched" in counted and f"one by {most:.2g}." in counted


def test_differences_say_how_far_they_are_amplified() -> None:
    made = explanation()
    told = words(made)
    assert "It is amplified: full colour is the largest change in that picture, or 20 % of the way" in told
    full = [full_colour(redrawn, changed) for _, redrawn, changed in made.examples[SMALL][0].images]
    assert f"Full colour of a difference: {between(full)} of the way".replace("\xa0", " ") in told
    assert between([0.38, 0.52]) == "38 to 52\xa0%" and between([0.2, 0.2]) == "20\xa0%"


def test_percentages_say_of_what_they_are() -> None:
    warm = About("the size classifier", (("temperature", "4"),))
    told = "Before is of the redrawn image, not of the original; after is of the changed one."
    softer = "Both are at the temperature 4, less sure than its own answers."
    assert words(explanation(), warm).count(told) == words(explanation()).count(told) == 1
    assert words(explanation(), warm).count(softer) == 1
    assert "at the temperature" not in words(explanation(), About("x", (("temperature", "1"),)))


def test_details_are_words() -> None:
    settings = {
        **{"searched": 250, "most": 10, "shift": 1.0, "unstable": None, "seed": 0, "own_thing": {"a_b": [1, None]}},
        "selection": {"name": "PaperSelection", "threshold": 1.0},
    }
    made = replace(explanation(), settings=settings)
    told = dict(facts(made))
    assert (
        told["choice of attributes"].endswith("none before it moved by more than 1 (in logits)")
        and "searched" not in told
    )
    assert told["images left out as unstable"] == "none" and told["size of a change"].startswith("all the way")
    assert told["own thing"] == "a b 1, none"
    assert told["images searched"] == "250 of shapes/test"
    assert not re.search("None|[{}]|Selection", words(made).partition("Settings and data")[2])
    for selection in (NotebookSelection(0.5), ShareSelection()):
        value = {"name": type(selection).__name__, **vars(selection)}
        assert "logits" in dict(facts(replace(made, settings={"selection": value})))["choice of attributes"]
    half = dict(facts(replace(made, settings={"shift": 0.5, "unstable": [2.0, 750]})))
    assert half["size of a change"].startswith("50\xa0% of the way") and "more than 750 coord" in str(half)


def test_how_often_the_classifier_is_right_is_said_where_it_is_known() -> None:
    made = explanation()
    known = words(replace(made, data={**made.data, "right": 0.98, "labelled": 256}))
    assert "The classifier is right on 98 % of 256 labelled images." in known
    assert "is right on" not in words(made)
    assert "is right on" not in words(replace(made, data={**made.data, "right": 0.98, "labelled": 0}))
    taken = words(replace(made, data={**made.data, "right": 0.98, "labelled": 256, "order": ["cat", "dog"]}))
    names = [f"“{name}” is {label}" for name, label in zip(made.classes, ("cat", "dog"), strict=False)]
    assert f"98 % of 256 labelled images, where {names[0]} and {names[1]}." in taken


def test_a_class_is_asked_for_in_capitals_or_not() -> None:
    made = explanation()
    assert {made.target(made.classes[y].upper()) for y in made.attributes} == set(made.attributes)


def test_words() -> None:
    assert [percent(s).replace("\xa0", " ") for s in (0, 0.004, 0.0725, 0.725, 0.999, 1)] == [
        *("0 %", "0.4 %", "7.2 %", "72 %", "99.9 %", "100 %")
    ]
    assert [percent(s).replace("\xa0", " ") for s in (0.00004, 0.09996, 0.9999)] == ["<0.1 %", "10 %", ">99.9 %"]
    assert moved({"hue": 0.02, "size": -1.2, "x": 0.6}) == [
        ("size", "falls strongly, by 1.2 times the usual spread"),
        ("x", "rises clearly, by 0.6 times the usual spread"),
        ("hue", "hardly changes"),
    ]
    pixels = {IN_WORDS["down"]: 1.8, IN_WORDS["area"]: -0.2, IN_WORDS["aspect"]: -0.6, "brightness": 0.0}
    assert moved(pixels) == [
        ("its centre of mass lies much lower", "by 1.8 times the usual spread"),
        ("it is clearly wider for its height", "by 0.6 times the usual spread"),
        ("a little less of it stands out", "by 0.2 times the usual spread"),
        ("brightness", "hardly changes"),
    ]
    ways = moved({"hue": 0.02, "size": -0.2, "x": -0.6}, (), {"hue": 0.7, "size": 0.3, "x": 0.7})
    assert ways == [
        ("hue", "changes clearly, either way, by 0.7 times the usual spread"),
        ("x", "falls clearly, by 0.6 times the usual spread"),
        ("size", "falls a little, by 0.2 times the usual spread"),
    ]
    assert moved({}) == []
    assert moved({"shape": 0.25}, {"shape"})[0][1].startswith("becomes another one in 25")
    assert moved({"hue": 0.02, "size": 0.1})[0][0] == "Nothing that is measured"
    told = enough([0.3, 0.5, 0.7], [0.01, 0.02], "large").replace("\xa0", " ")
    assert "The first change alone turns 30 % of" in told and "the first 3 together 70 %" in told and "2.0 %" in told
    assert "first 10" not in told
    assert "turns 30 % of 1,207 images that" in enough([0.3], [], "large", 1207).replace("\xa0", " ")
    told = enough([0.3], [], "large", transferred=0.42).replace("\xa0", " ")
    assert told.endswith(
        "Put on the originals in place of the redrawn images, the same differences together turn 42 %."
    )


def test_it_is_kept_and_read_again(tmp_path: Path) -> None:
    made = explanation()
    made.save(tmp_path)
    again = Explanation.load(tmp_path)
    assert again.to_json() == made.to_json()
    assert torch.equal(again.attributes[1][2].effects, made.attributes[1][2].effects)
    write_page(tmp_path / "a" / "page.html", again, ABOUT)
    assert (tmp_path / "a" / "page.html").read_text("utf-8") == page(made, ABOUT)
