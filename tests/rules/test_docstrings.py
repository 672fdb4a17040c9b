"""Docstrings say what a thing is or does: none begins like a question, and lengths have the field's name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rules.test_imports import modules, own_name

QUESTION = re.compile(r"(What|Whatever|Which|How|Where|Who|Whose|When)\b")
LENGTH = re.compile(r"\b(pixels?|tokens?|units?)\s+of\s+a\s+side\b", re.IGNORECASE)


def docstrings(source: str) -> Iterator[str]:
    """Texts that stand alone: of modules, classes and functions, and below attributes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value.strip()


def faults(source: str) -> list[str]:
    return [text.partition("\n")[0] for text in docstrings(source) if QUESTION.match(text) or LENGTH.search(text)]


@pytest.mark.parametrize("path", modules(), ids=own_name)
def test_docstrings_say_what_a_thing_is(path: Path) -> None:
    assert not faults(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "docstring",
    ["What a run does.", " Which rows.", "How\n    many.", "A map.\n\n    Args:\n        size: pixels of a side."],
)
def test_a_fault_is_noticed(docstring: str) -> None:
    for source in ('"""{}"""\n', 'def f():\n    """{}"""\n', 'class C:\n    """{}"""\n', 'SIZE = 3\n"""{}"""\n'):
        assert faults(source.format(docstring)) == [docstring.strip().partition("\n")[0]]


def test_plain_words_are_let_pass() -> None:
    assert not faults('"""Whether samples of a side fit; side length in pixels. Whole batches, however large."""\n')
