"""A page that is not to be trusted: each reason once, what to do next, and the changes folded away."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from genkit.explain.checks import doubts, redrawing
from genkit.explain.explanation import Checks, Explanation
from genkit.explain.explanation_page import About, page
from genkit.explain.readings import readings
from genkit.explain.remedies import remedies
from tests.explain.made import LARGE, SMALL, explanation

NAMES = {SMALL: "small", LARGE: "large"}


def text(made: Explanation, part: str = "body") -> str:
    html = re.sub("<(style|svg).*?</(style|svg)>", "", page(made, About("the size classifier")), flags=re.S)
    inside = re.search(f"<{part}.*?</{part.split()[0]}>", html, flags=re.S)
    assert inside
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", inside[0]))


def checked(**changes: Any) -> Explanation:
    """With the reasons that the checks give."""
    made = explanation()
    checks = replace(made.checks, **changes)
    return replace(made, checks=replace(checks, reasons=[r.reason for r in readings(checks) if not r.well]))


def test_what_a_failed_check_found_is_said_once_and_on_one_scale() -> None:
    said = text(checked(l1=0.182, l1_of_mean_image=0.202))
    assert said.count("9.1 %") == said.count("10 %") == 1 and "0.182" not in said and "0.202" not in said
    assert "Are the images redrawn faithfully?" not in said and "Does the classifier see the same in" in said
    said = text(checked(agreement=0.76, redrawn_decides=0.4))
    assert said.count("24 %") == 1 and said.count("60 % of the decisions") == 1 and "76 %" not in said


def test_readings_tell_well_from_ill() -> None:
    good, bad = readings(Checks(0.1, 0.4, 0.98, [])), readings(Checks(0.3, 0.4, 0.8, [], 0.5))
    assert [one.well for one in good] == [True, True] and [one.well for one in bad] == [False] * 3


def test_classes_with_one_doubt_share_its_sentence() -> None:
    (few,) = doubts(NAMES, {SMALL: [0.1, 0.3], LARGE: [0.21]}, {SMALL: [0.0], LARGE: [0.0]})
    assert few == (
        "all attributes together change few of the decisions: 30\xa0% towards “small” and 21\xa0% towards “large”; "
        "they are not what decides"
    )
    (none,) = doubts(NAMES, {SMALL: [], LARGE: []}, {})
    assert none.startswith("no attribute was found towards “small” and “large”, or")
    (sways,) = redrawing(NAMES, {SMALL: [0.9], LARGE: [0.8]}, {SMALL: 0.1, LARGE: 0.02})
    assert "10\xa0% in place of 90\xa0% towards “small” and 2.0\xa0% in place of 80\xa0% towards “large”" in sways
    many = {y: str(y) for y in range(9)}
    (few,) = doubts(many, {y: [0.1] for y in many}, {})
    assert "towards “5” and 3 more; they" in few


@pytest.mark.parametrize(
    ("made", "searched", "train", "images"),
    [
        (explanation(), 60, False, False),
        (checked(agreement=0.7), 60, True, False),
        (replace(explanation(), sufficiency={SMALL: [0.3], LARGE: [0.2]}), 60, True, True),
        (replace(explanation(), sufficiency={SMALL: [0.3], LARGE: [0.2]}), 250, True, False),
        (replace(explanation(), sufficiency={SMALL: [0.9], LARGE: []}), 250, True, True),
        (replace(explanation(), on_originals={SMALL: 0.1, LARGE: 0.8}), 250, True, False),
    ],
)
def test_remedies_fit_the_reasons(made: Explanation, searched: int, train: bool, images: bool) -> None:
    commands = [remedy.command for remedy in remedies(made, searched, goes_on="--out RUN --resume")]
    assert any("genkit explain train" in line and "--resume --steps N" in line for line in commands) is train
    assert any("-n N" in line for line in commands) is images


def test_the_page_says_what_to_do_next() -> None:
    said = text(checked(agreement=0.7))
    assert "What to do next Train the generator longer" in said
    assert said.index("What to do next") < said.index("How to read the pictures")
    assert "What to do next" not in text(explanation())


def test_its_commands_name_what_is_known() -> None:
    made = checked(agreement=0.7)
    goes_on = "--out 'runs/my photos' --resume"
    about = About("my net", facts=(("classifier", "my.net:make"), ("generator", "runs/my photos")), goes_on=goes_on)
    assert "genkit explain train my.net:make DATA --out &#39;runs/my photos&#39; --resume" in page(made, about)
    itself = replace(
        about, facts=(("classifier", "runs/cats"), ("generator", "runs/cats")), goes_on="--out runs/cats --resume"
    )
    assert "genkit explain train CLASSIFIER DATA --out runs/cats --resume" in page(made, itself)


def test_what_cannot_go_on_is_trained_anew() -> None:
    about = About("my net", facts=(("classifier", "my.net:make"), ("generator", "mnist-styleex")))
    said = page(checked(agreement=0.7), about)
    assert "genkit explain train my.net:make DATA --out NEW --steps N" in said and "--resume" not in said
    assert "It begins a new one: give the other options of the training before" in said


def test_doubted_changes_are_folded_away_and_say_why() -> None:
    made = checked(agreement=0.7)
    html = page(made, About("the size classifier"))
    folds = re.findall('<details class="folded">.*?</details>', html, flags=re.S)
    assert sum(fold.count("<article>") for fold in folds) == html.count("<article>") == 6 and len(folds) == 2
    why = text(made, "summary")
    assert "They are folded away" in why and why.strip().endswith(
        "decides: the classifier sees redrawn images differently."
    )
    assert "folded away" not in page(explanation(), About("the size classifier"))
