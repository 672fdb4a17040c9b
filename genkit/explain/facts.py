"""Settings and data of an explanation as rows of words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from genkit.explain.explanation import Explanation
from genkit.explain.words import percent

FINGERPRINT = 16
"""Digits of a fingerprint that are shown."""


def facts(explanation: Explanation) -> list[tuple[str, str]]:
    """(name, value) of what was searched, and how."""
    data = explanation.data
    rows = [("images searched", f"{searched(explanation):,} of {data.get('name', 'unknown data')}")]
    if data.get("fingerprint"):
        rows.append(("fingerprint of the images", str(data["fingerprint"])[:FINGERPRINT]))
    return rows + [_setting(name, value) for name, value in explanation.settings.items() if name != "searched"]


def searched(explanation: Explanation) -> int:
    """The number of images in which changes were tried; the others only show what was found."""
    return int(explanation.data.get("searched", explanation.data.get("n", 0)))


def _setting(name: str, value: Any) -> tuple[str, str]:
    told, words = SETTINGS.get(name, (name.replace("_", " "), _plain))
    return told, words(value)


def _plain(value: Any) -> str:
    """Any value of a JSON file without its punctuation."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{str(key).replace('_', ' ')} {_plain(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


def _shift(value: float) -> str:
    way = "all the way" if value == 1 else f"{percent(value)} of the way"
    return f"{way} to the smallest or largest value that its coordinate has in the images searched"


def _unstable(value: Any) -> str:
    if value is None:
        return "none"
    threshold, most = value
    return f"those that more than {most:,} coordinates move by more than {threshold:g} logits"


def _selection(value: Any) -> str:
    if not isinstance(value, Mapping):
        return _plain(value)
    known = SELECTIONS.get(value.get("name", ""))
    return known.format_map(value) if known else _plain(value)


SELECTIONS = {
    "PaperSelection": "as in the paper: each moves those images most that none before it moved by more than "
    "{threshold:g} (in logits)",
    "NotebookSelection": "as in the authors' notebook: each moves those images most that those before it did not move "
    "by {reach:g} in sum (in logits)",
    "ShareSelection": "those that move most images by more than {effect:g} (in logits), at least {least:.0%} of them",
}
"""Each selection by its name, in words that take its settings."""

SETTINGS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "most": ("attributes of a class, at most", _plain),
    "shift": ("size of a change", _shift),
    "colours": ("layers that make colours", lambda searched: "searched too" if searched else "not searched"),
    "unstable": ("images left out as unstable", _unstable),
    "examples": ("images shown of each attribute", _plain),
    "draws": ("draws of random changes, for comparison", _plain),
    "seed": ("seed of these draws", _plain),
    "selection": ("choice of attributes", _selection),
    "realistic": ("changes that the critic sees as damage", lambda left: "left out" if left else "not looked for"),
}
"""The name that a reader is told of each setting, and its value in words."""
