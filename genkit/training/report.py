"""report.html: everything about a run in one file that needs no network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from genkit import __version__
from genkit.core.catalog import load
from genkit.core.columns.labels import columns_each, numbered
from genkit.core.documents import read_mapping
from genkit.core.errors import first_line
from genkit.core.files import write_text_atomically
from genkit.core.generator import COLUMNS
from genkit.core.location import CONFIG
from genkit.core.table import lookup
from genkit.images.pixels import data_url
from genkit.training.curves import Curve, draw
from genkit.training.log import read_metrics
from genkit.training.recipe import Recipe
from genkit.training.report_tables import data_tables, flat, score_tables
from genkit.training.rollback import Fall, falls_of, slower
from genkit.training.run_folder import RunFolder
from genkit.training.staged import Stage, StagedRecipe

PagePart = dict[str, Any]
"""Values of the page's template for one training, or for the product of all stages."""

GRIDS = 12
"""Pictures of samples over time that are shown at most."""

RENEW_S = 60
"""After so many seconds a browser reads the page of a run under way again."""

SCORES = "eval"
WORDS = {
    "eval": "scores while training",
    "gradient_norm": "gradient norm",
    "effective_sample_size": "effective sample size",
    "clipped": "clipped ratios",
    "ratio": "mean probability ratio",
    "gradient_penalty": "gradient penalty",
}


def write_report(folder: RunFolder, recipe: Recipe, under_way: bool = False) -> None:
    """Writes `folder`/report.html from what lies in the folder; missing files are left out.

    Args:
        under_way: whether the run has not come to its end; a browser then reads the page again from time to time.

    Raises:
        CheckpointError: it cannot be written.
    """
    write_text_atomically(folder.report, report_html(folder, recipe, under_way))


def write_report_of_stages(folder: RunFolder, recipe: StagedRecipe, under_way: bool = False) -> None:
    """As `write_report`: the final product, and below it every stage, with a link to its own report."""
    last = next(reversed(recipe.stages))
    facts = [("stages", ", ".join(recipe.stages)), ("product", "of all" if recipe.product else f"of {last}")]
    whole = _part(folder, recipe) | {"facts": facts}
    stages = [(name, _stage(folder.path / name, name, stage)) for name, stage in recipe.stages.items()]
    write_text_atomically(folder.report, _page(whole, stages, under_way))


def renewed(write: Callable[[], None], note: Callable[[str], None], what: str = "the report") -> None:
    """Writes something to read; what cannot be written costs a line, and never a training."""
    try:
        write()
    except Exception as failure:
        note(f"{what} was not written, all else goes on: {first_line(failure)}")


def report_html(folder: RunFolder, recipe: Recipe, under_way: bool = False) -> str:
    """The page: pictures, scores, curves by learner, samples over time, data, recipe, environment; all escaped."""
    return _page(_training(folder, recipe), [], under_way)


def _page(whole: PagePart, stages: list[tuple[str, PagePart]], under_way: bool) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    pages = Environment(autoescape=True, undefined=StrictUndefined, loader=FileSystemLoader(Path(__file__).parent))
    return pages.get_template("report.html.j2").render(
        whole=whole, stages=stages, version=__version__, renew=RENEW_S if under_way else 0
    )


def _part(folder: RunFolder, recipe: Recipe | StagedRecipe) -> PagePart:
    """The part of the page about one training or product, from the files in its folder."""
    generator = recipe.system.get("generator") if isinstance(recipe, Recipe) else None
    return {
        "name": recipe.name,
        "description": recipe.description,
        "link": "",
        "yaml": recipe.to_yaml(),
        "facts": [],
        "curves": [],
        "grids": [],
        "samples": _picture(folder.samples),
        "samples_at": "",
        "real": _picture(folder.real),
        "legend": _legend(read_mapping(folder.weights / CONFIG) or generator),
        "scores": score_tables(read_mapping(folder.scores) or read_mapping(folder.so_far)),
        "data": data_tables(read_mapping(folder.data)),
        "environment": [],
    }


def _training(folder: RunFolder, recipe: Recipe) -> PagePart:
    rows, falls = read_metrics(folder.metrics), falls_of(folder.checkpoints)
    back = [(f"back from iteration {fall['at']:,} to {fall['to']:,}", fall["why"]) for fall in falls]
    environment = [*flat(read_mapping(folder.environment)), *_history(read_mapping(folder.history)), *back]
    own: PagePart = {"facts": _facts(recipe, rows, falls), "curves": curves_of(rows), "grids": _grids(folder.grids)}
    part = _part(folder, recipe) | own | {"environment": environment}
    if not part["samples"] and own["grids"]:
        part["samples_at"], part["samples"] = own["grids"][-1]
    return part


def _stage(path: Path, name: str, stage: Stage) -> PagePart:
    folder = RunFolder(path)
    if isinstance(stage, Recipe):
        return _training(folder, stage) | {"link": f"{name}/{folder.report.name}"}
    about = {"name": name, "description": "", "link": "", "yaml": yaml.safe_dump(stage), "legend": "", "samples": ""}
    nothing: PagePart = {"curves": [], "grids": [], "environment": [], "scores": score_tables({}), "real": ""}
    nothing |= {"data": data_tables({}), "samples_at": ""}
    return about | nothing | {"facts": [("weights", str(stage["weights"]))]}


def _facts(recipe: Recipe, rows: list[dict[str, Any]], falls: list[Fall]) -> list[tuple[str, str]]:
    facts = [("iterations", f"{rows[-1]['step'] if rows else 0:,} of {recipe.train.steps:,}")]
    if falls:
        facts.append(("went back", f"{len(falls)} times, learning rates x {slower(falls):.3g}"))
    if rows and "seconds" in rows[-1]:
        facts.append(("time", _clock(sum_of_sessions(rows))))
    return [*facts, ("batch", f"{recipe.train.batch_size}"), ("seed", f"{recipe.train.seed}")]


def sum_of_sessions(rows: list[dict[str, Any]]) -> float:
    """Seconds of training in all: the clock of the log starts again whenever a run is resumed."""
    total, before = 0.0, 0.0
    for now in (float(row["seconds"]) for row in rows):
        total, before = total + (now - before if now >= before else now), now
    return total


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def curves_of(rows: list[dict[str, Any]]) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """(learner, [(name, last value, SVG)]): the scores first, then the learners in the order of their names."""
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            if name not in ("step", "seconds") and isinstance(value, (int, float)):
                points[name].append((float(row["step"]), float(value)))
    groups: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for name in sorted(points):
        group, _, what = name.rpartition("/")
        if group == SCORES and len(points[name]) == 1:
            continue  # the final score has a table of its own
        curve = Curve(points[name])
        groups[group].append((WORDS.get(what, what.replace("_", " ")), curve.last, draw(curve, group == SCORES)))
    order = sorted(groups, key=lambda group: (group != SCORES, group))
    return [(WORDS.get(group, group), groups[group]) for group in order]


def _grids(folder: Path) -> list[tuple[str, str]]:
    """(iteration, picture) of at most GRIDS grids, spread evenly, the first and the last among them."""
    found = sorted(folder.glob("*.png")) if folder.is_dir() else []
    if len(found) > GRIDS:
        found = [found[round(i * (len(found) - 1) / (GRIDS - 1))] for i in range(GRIDS)]
    return [(f"{int(p.stem):,}" if p.stem.isdecimal() else p.stem, data_url(p.read_bytes())) for p in found]


def _picture(path: Path) -> str:
    return data_url(path.read_bytes()) if path.is_file() else ""


def _legend(product: Any) -> str:
    """Legend of the pictures of a product, its spec: what it says that they show, or its classes."""
    config = product if isinstance(product, Mapping) else {}
    found = lookup(config.get("type"), ["generators", "networks"])
    shows: str = getattr(load(found[1].target), "shows", "") if found else ""
    names = config.get("class_names", [])[:COLUMNS]
    each = columns_each(len(names))
    wide = f"{each} columns a class" if each > 1 else "A class a column"
    return shows or (f"{wide}: {numbered(names)}" if names else "")


def _history(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """(first iteration, changes) rows."""
    entries = [entry for entry in found.get("changes", []) if isinstance(entry, Mapping)]
    return [
        (f"from iteration {entry.get('iteration')}", "; ".join([*entry.get("recipe", []), *entry.get("changed", [])]))
        for entry in entries
    ]
