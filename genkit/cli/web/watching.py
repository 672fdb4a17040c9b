"""A training as it goes: its curves and newest samples, from the files of its run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genkit.cli.web.markup import curves, note, picture
from genkit.core.display import clock
from genkit.core.documents import Unreadable, read_yaml
from genkit.training.log import read_metrics
from genkit.training.report import curves_of
from genkit.training.run_folder import RunFolder

RECENT = 10
"""Lines of the log by which the speed is told."""


def state_of(path: Path) -> str:
    """A text that changes when the run has written something to show."""
    folder = RunFolder(path)
    newest = _newest_grid(folder)
    size = folder.metrics.stat().st_size if folder.metrics.is_file() else 0
    return f"{path} {size} {newest and newest.name} {folder.samples.is_file()} {folder.scores.is_file()}"


def watched(path: Path) -> str:
    """The run as HTML: how far it is, its newest samples, its curves."""
    folder = RunFolder(path)
    rows = read_metrics(folder.metrics)
    finished = folder.samples.is_file()
    newest = folder.samples if finished else _newest_grid(folder)
    recipe = _recipe(folder)
    step = _progress(rows, _steps(recipe))
    end = "trained, and being scored" if recipe.get("evaluate") and not folder.scores.is_file() else "finished"
    parts = [note(f"{step}; {end}" if finished else step)]
    shown = {}
    if newest:
        shown["samples at the end" if finished else f"samples at iteration {int(newest.stem):,}"] = newest
    if folder.real.is_file():
        shown["real images" if newest else "no samples yet; these are real images"] = folder.real
    parts.append(f"<div class='side'>{''.join(_figure(path, what) for what, path in shown.items())}</div>")
    return "".join([*parts, curves(curves_of(rows))])


def _figure(path: Path, what: str) -> str:
    return f"<figure class='drawn'><figcaption>{what}</figcaption>{picture(path.read_bytes(), what)}</figure>"


def _newest_grid(folder: RunFolder) -> Path | None:
    return max((path for path in folder.grids.glob("*.png") if path.stem.isdecimal()), default=None)


def _recipe(folder: RunFolder) -> dict[str, Any]:
    """The recipe as it stands there; empty where none can be read."""
    try:
        recipe = read_yaml(folder.recipe)
    except Unreadable:
        return {}
    return recipe if isinstance(recipe, dict) else {}


def _steps(recipe: Mapping[str, Any]) -> int | None:
    """Iterations in all, where the recipe says so."""
    train = recipe.get("train")
    steps = train.get("steps") if isinstance(train, dict) else None
    return steps if isinstance(steps, int) else None


def _progress(rows: Sequence[Mapping[str, float]], steps: int | None) -> str:
    """The iteration, and the time to go at the speed of late."""
    if not rows:
        return "nothing is logged yet"
    first, last = rows[-RECENT:][0], rows[-1]
    at = f"iteration {last['step']:,}"
    if steps is None:
        return at
    done, seconds = last["step"] - first["step"], last["seconds"] - first["seconds"]
    left = (steps - last["step"]) * seconds / done if done > 0 else 0
    return f"{at} of {steps:,}" + (f", about {clock(left)} to go" if left > 0 else "")
