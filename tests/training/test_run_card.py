"""The card of a run: what the weights are, how they came to be, how good they are; the same after an interruption."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from genkit.core.card import CardFacts, card, hub_card
from genkit.core.hub import README
from genkit.training import train
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder
from tests.training.tiny import points


def scored() -> Recipe:
    made = points(4, evaluate={"metrics": ["modes"], "n": 100, "best": "good_samples"})
    return replace(made, description="Points | <b>and</b> more")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(scored(), tmp_path_factory.mktemp("runs") / "run")


def test_a_run_tells_what_its_weights_are(run: Path) -> None:
    text = (run / "weights" / README).read_text(encoding="utf-8")
    assert text.startswith(f"# {points(4).name}\n\nPoints \\| &lt;b>and&lt;/b> more.\n\nA gan, made by genkit.\n")
    assert "genkit sample WEIGHTS" in text
    for row in (
        r"iterations \| 4",
        r"seed \| \d+",
        r"parameters \| [\d,]+",
        r"samples \| [\d,]+",
        r"by \| genkit .*torch",
    ):
        assert re.search(rf"^\| {row}.* \|$", text, re.MULTILINE), row
    assert "samples are too few for a verdict" in text
    assert re.search(r"Papers behind it: arXiv:\d{4}\.\d{4,5}", text)


def test_it_is_the_card_that_the_hub_gets(run: Path) -> None:
    text = (run / "weights" / README).read_text(encoding="utf-8")
    sent = hub_card(text, {"type": "gan"}, "ada/points")
    assert sent.partition("\n---\n\n")[2].startswith(text.strip()) and 'from_pretrained("ada/points")' in sent


def test_a_run_that_is_made_again_has_the_same_card(run: Path, tmp_path: Path) -> None:
    again = train(scored(), tmp_path / "elsewhere")
    assert RunFolder(again).card.read_bytes() == RunFolder(run).card.read_bytes()


def test_no_text_breaks_a_table() -> None:
    text = card("a", "gan", CardFacts(rows=[("a|b\n", "<i>")], scores=[("fd", "1 ± 2", "far|\n\nfrom")]))
    assert "| a\\|b | &lt;i> |" in text and "| fd | 1 ± 2 | far\\| from |" in text
    assert "weights" not in card("a", "gan") and card("a", "gan") == "# a\n\nA gan, made by genkit.\n"
