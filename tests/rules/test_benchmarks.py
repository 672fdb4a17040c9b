"""The table at the top of docs/benchmarks.md: every figure of a row stands in the section that it leads to."""

from __future__ import annotations

import re

import pytest

from tests.rules.markdown import ROOT, anchors

TEXT = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
SECTIONS = re.split(r"^(?=##+ )", TEXT, flags=re.MULTILINE)
NUMBER = re.compile(r"(?<![\d.,])\d[\d,]*(?:\.\d+)?(?![\d.]*\d)")


def section(anchor: str) -> str:
    """A heading's text, up to the next heading that is no deeper."""
    first = next(k for k, text in enumerate(SECTIONS) if anchors(text.partition("\n")[0]) == {anchor})
    depth = len(SECTIONS[first]) - len(SECTIONS[first].lstrip("#"))
    inner = []
    for text in SECTIONS[first + 1 :]:
        if len(text) - len(text.lstrip("#")) <= depth:
            break
        inner.append(text)
    return "".join([SECTIONS[first], *inner])


def rows() -> list[tuple[str, str, str]]:
    """Claim, figures and the anchor of each row."""
    lines = [line.strip("|").split("|") for line in section("at-a-glance").splitlines() if line.startswith("| ")]
    return [(claim.strip(), measured, re.findall(r"\(#(.*)\)", link)[0]) for claim, _, measured, link in lines[1:]]


@pytest.mark.parametrize(("claim", "measured", "anchor"), rows(), ids=[claim for claim, _, _ in rows()])
def test_figures_stand_in_their_section(claim: str, measured: str, anchor: str) -> None:
    figures = NUMBER.findall(measured)
    there = set(NUMBER.findall(section(anchor)))
    assert figures, f"{claim}: no figure"
    assert not set(figures) - there, f"{claim}: {sorted(set(figures) - there)} do not stand under #{anchor}"
