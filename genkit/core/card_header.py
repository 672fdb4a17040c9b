"""README.md of weights: a header of plain YAML, which the hub and the tables read, and the text below it.

`score` and `training` are for tables: one line on how good the weights are, and on what their training took.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from genkit.core.documents import Unreadable, parse_yaml
from genkit.core.errors import WeightsError

README = "README.md"
HEADER = re.compile(r"---\s*\n(.*?)\n---\s*\n", re.DOTALL)


def parted(text: str) -> tuple[dict[str, Any], str]:
    """Header and body of a card; a card without a header has an empty one.

    Raises:
        WeightsError: the header is no plain YAML mapping.
    """
    found = HEADER.match(text)
    if not found:
        return {}, text
    try:
        header = parse_yaml(found[1])
    except Unreadable as fault:
        raise WeightsError(f"README.md: its header is no plain YAML ({fault}); mend it or take it out") from fault
    if not isinstance(header, dict):
        raise WeightsError("README.md: its header is no YAML mapping; mend it or take it out")
    return header, text[found.end() :].lstrip("\n")


def card_of(folder: Path) -> tuple[dict[str, Any], str]:
    """Header and body of the card in a weights folder; both empty without one. Raises as `parted`."""
    path = folder / README
    return parted(path.read_text("utf-8", errors="replace")) if path.is_file() else ({}, "")


def first_sentence(body: str) -> str:
    """The first sentence of the first paragraph that is no heading."""
    paragraphs = [" ".join(part.split()) for part in body.split("\n\n") if part.strip() and not part.startswith("#")]
    return re.split(r"(?<!et al)\. ", paragraphs[0])[0].rstrip(".") + "." if paragraphs else ""
