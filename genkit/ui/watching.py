"""A training as it goes: its curves and newest samples, from the files of its run folder."""

from __future__ import annotations

from pathlib import Path

from genkit.core.documents import Unreadable, read_yaml
from genkit.training.log import read_metrics
from genkit.training.report import curves_of
from genkit.training.run_folder import RunFolder
from genkit.ui.markup import curves, note, picture


def state_of(path: Path) -> str:
    """A text that changes when the run has written something to show."""
    folder = RunFolder(path)
    newest = _newest_grid(folder)
    size = folder.metrics.stat().st_size if folder.metrics.is_file() else 0
    return f"{path} {size} {newest and newest.name} {folder.samples.is_file()}"


def watched(path: Path) -> str:
    """The run as HTML: how far it is, its newest samples, its curves."""
    folder = RunFolder(path)
    rows = read_metrics(folder.metrics)
    step = f"iteration {rows[-1]['step']:,}{_of_all(folder)}" if rows else "nothing is logged yet"
    finished = folder.samples.is_file()
    newest = folder.samples if finished else _newest_grid(folder)
    parts = [note(f"{step}; finished" if finished else step)]
    if newest:
        what = "samples at the end" if finished else f"samples at iteration {int(newest.stem):,}"
        parts.append(
            f"<figure class='drawn'>{picture(newest.read_bytes(), what)}<figcaption>{what}</figcaption></figure>"
        )
    return "".join([*parts, curves(curves_of(rows))])


def _newest_grid(folder: RunFolder) -> Path | None:
    return max((path for path in folder.grids.glob("*.png") if path.stem.isdecimal()), default=None)


def _of_all(folder: RunFolder) -> str:
    """' of 6,000', where the recipe says so."""
    try:
        recipe = read_yaml(folder.recipe)
    except Unreadable:
        return ""
    train = recipe.get("train") if isinstance(recipe, dict) else None
    steps = train.get("steps") if isinstance(train, dict) else None
    return f" of {steps:,}" if isinstance(steps, int) else ""
