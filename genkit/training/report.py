"""report.html (stub while being written)."""

from __future__ import annotations

from genkit.recipe import Recipe
from genkit.training.folder import RunFolder


def write_report(folder: RunFolder, recipe: Recipe) -> None: ...
