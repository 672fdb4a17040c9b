"""A gallery of directions as one HTML file: nothing outside it is needed, no script is in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from genkit import __version__
from genkit.core.files import write_text_atomically
from genkit.images.grid import grid
from genkit.images.pixels import data_url, png_bytes
from genkit.posthoc.directions.direction_scores import DirectionScores, Scored
from genkit.posthoc.directions.directions import Directions

PAGE = "directions.html"
TOLD = 3
"""Properties that are told of a direction."""
FOLLOWS = 0.3
"""Least correlation that is told."""
WAYS = {
    "learned": "learned to be easy to tell apart (Voynov and Babenko 2020)",
    "sefa": "found by SeFa (Shen and Zhou 2021)",
    "ganspace": "found by GANSpace (Härkönen et al. 2020)",
    "random": "drawn at random",
    "coordinate": "its coordinates",
}
"""Words for the methods."""


def write_gallery(
    path: Path, directions: Directions, scored: Scored, title: str, method: str, seeds: Sequence[int], columns: int = 9
) -> None:
    """A strip a direction, a row a seed and a column a strength up to that of the scores, and what is known of each.

    Raises:
        CheckpointError: it cannot be written.
    """
    reach = float(scored.settings["reach"])
    strengths = torch.linspace(-reach, reach, columns).tolist()
    shown = [
        {
            "number": k,
            "name": directions.names[k],
            "facts": facts(scored.each[k]),
            "strip": data_url(png_bytes(grid(directions.strip(k, strengths, seeds).flatten(0, 1), columns))),
        }
        for k in range(len(directions))
    ]
    write_text_atomically(path, _rendered(directions, scored, title, method, shown, reach, seeds))


def _rendered(
    directions: Directions, scored: Scored, title: str, method: str, shown: Any, reach: float, seeds: Sequence[int]
) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    pages = Environment(autoescape=True, undefined=StrictUndefined, loader=FileSystemLoader(Path(__file__).parent))
    return pages.get_template("gallery.html.j2").render(
        title=title,
        way=WAYS.get(method, f"found by {method}"),
        space=directions.space.name,
        unit=f"{directions.unit.item():.3g}",
        directions=shown,
        reach=f"{reach:.3g}",
        seeds=list(seeds),
        accuracy={name: f"{100 * value:.1f} %" for name, value in scored.accuracy.items()},
        steps=scored.settings.get("steps", 0),
        version=__version__,
    )


def facts(scores: DirectionScores) -> list[str]:
    """The scores of a direction, in half sentences."""
    followed = sorted(scores.moves, key=lambda name: -abs(scores.moves[name]))[:TOLD]
    found = [f"{name} {scores.moves[name]:+.2f}" for name in followed if abs(scores.moves[name]) >= FOLLOWS]
    found.append(f"{100 * scores.uniqueness:.0f} % of its effect is its own")
    if scores.accuracy is not None:
        found.append(f"told from the others in {100 * scores.accuracy:.0f} %")
    return found
