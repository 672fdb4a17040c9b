"""Every key of a recipe is told, by genkit info and in docs/recipes.md, which is made from the code."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from genkit.cli import recipe_keys
from genkit.cli.info import SECTIONS
from genkit.core.table import CATALOG
from tests.cli.console import run

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]


def test_the_page_is_that_of_the_code() -> None:
    assert (ROOT / "docs/recipes.md").read_text("utf-8") == recipe_keys.page(), (
        "make it anew: python -m genkit.cli.recipe_keys > docs/recipes.md"
    )


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_of_a_section_says_what_it_is(section: str, capsys: Capture) -> None:
    keys = recipe_keys.keys(section)
    assert keys and all(key.about for key in keys), [key.name for key in keys if not key.about]
    if section in recipe_keys.SECTIONS:
        assert [key.name for key in keys] == [field.name for field in fields(recipe_keys.SECTIONS[section])]
    said = run(capsys, "info", section).out
    assert all(key.name in said for key in keys)
    assert section != "train" or "default 64     samples of each batch over all processes." in said


def test_every_name_that_a_recipe_may_give_is_on_the_page() -> None:
    page = recipe_keys.page()
    assert all(f"\n### {name}\n" in page for kind in recipe_keys.KINDS for name in CATALOG[kind])
    left = set(CATALOG) - set(recipe_keys.KINDS)
    assert left == {"metrics", "extractors", "layouts"}, "kinds that a recipe names otherwise, or not at all"


def test_what_docstrings_tell_is_read_whole() -> None:
    text = "A thing.\n\nArgs:\n    a, b: of two\n        lines: whole.\n    c: one.\n\nRaises:\n    d: no.\n"
    assert recipe_keys.abouts(text) == {"a": "of two lines: whole.", "b": "of two lines: whole.", "c": "one."}
    assert recipe_keys.abouts(text + "\n\nAttributes:\n    c: another.\n    d: more.")["c"] == "one."
    assert recipe_keys.abouts("Attributes:\n    c: another.\n\n" + text)["c"] == "one."
