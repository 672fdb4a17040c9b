"""A line about weights or a run: what their card or their recipe says they are."""

from __future__ import annotations

from pathlib import Path

from genkit.core import catalog
from genkit.core.card_header import card_of, first_sentence
from genkit.core.documents import Unreadable, read_yaml
from genkit.core.errors import WeightsError
from genkit.core.location import CONFIG, RECIPE


def about(place: str) -> str:
    """Of a run the description of its recipe, or of the one whose stage it is; of weights the first sentence of their
    card and its score."""
    run = Path(place)
    if (run / RECIPE).is_file():
        return _description(run / RECIPE) or _description(run.parent / RECIPE)
    folder = next(
        (path for path in (Path(place), catalog.shipped("weights") / place) if (path / CONFIG).is_file()), None
    )
    if folder is None:
        return ""
    try:
        header, body = card_of(folder)
    except (WeightsError, OSError):
        return ""
    score = header.get("score")
    return first_sentence(body) + (f" {score}." if score else "")


def _description(recipe: Path) -> str:
    try:
        found = read_yaml(recipe)
    except Unreadable:
        return ""
    return " ".join(str(found.get("description", "")).split()) if isinstance(found, dict) else ""
