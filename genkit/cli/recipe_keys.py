"""Every key of a recipe, read off the code: for genkit info, and as docs/recipes.md.

python -m genkit.cli.recipe_keys > docs/recipes.md
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import click

from genkit.cli.info_words import described
from genkit.core import catalog
from genkit.core.table import CATALOG
from genkit.training.recipe import Evaluate, Every, Recipe, Rollback, Train

SECTIONS: Mapping[str, type] = {"train": Train, "every": Every, "evaluate": Evaluate, "rollback": Rollback}
TOP: Mapping[str, str] = {
    "name": "of the recipe; its run goes to runs/NAME if --out says nothing else",
    "description": "a sentence, for genkit list and the report",
    "base": "another recipe, shipped or beside this file, whose keys hold where this one has none",
    "data": "what is trained on: {type: NAME, ...}, see data below",
    "system": "the method and its networks: {type: NAME, ...}, see systems below",
    "optimizers": "one for each learner of the system: {LEARNER: {type: NAME, ...}}, see optimizers below",
    "train": "length, batch, seed and precision",
    "every": "intervals of log, pictures, checkpoints and scores",
    "evaluate": "scores; none without",
    "start": "weights, or a run, that a new run begins from; from nothing without",
    "rollback": "going back from a useless state; a run ends there without",
    "stages": "several trainings one after the other, each with the keys above: {NAME: {...}}; later ones name what "
    "earlier ones made as {stage: NAME}",
    "product": "with stages, what the run leaves where it is not what the last stage makes",
}
"""Key of a recipe -> what it is."""

KINDS = ("data", "systems", "generators", "networks", "techniques", "diffusion", "vae", "optimizers", "columns")
"""Of the catalog, those that a recipe names, in the order of the page."""


class Key(NamedTuple):
    """A key: accepted values, default, and what it says; each may be empty."""

    name: str
    accepted: str
    default: str
    about: str


def keys(section: str) -> list[Key]:
    """Those of one section of a recipe; of "recipe" all that stand at its top, of "optimizers" what all of them take.

    Raises:
        KeyError: no such section.
    """
    if section == "recipe":
        return [Key(name, "", "required" if name in _required() else "", about) for name, about in TOP.items()]
    if section == "optimizers":
        from genkit.training.optimizers import Optimizer

        return list(keys_of(Optimizer))
    return list(keys_of(SECTIONS[section]))


def keys_of(made: Any) -> Iterator[Key]:
    """Every argument of a class or function that a file can give."""
    said = abouts(inspect.getdoc(made) or "")
    for name, accepted, default in described(made):
        yield Key(name, accepted, default, said.get(name, ""))


def abouts(text: str) -> dict[str, str]:
    """Name -> text, of the lists Args and Attributes of a docstring; a line may tell of several names. Of one in both,
    it is that of the argument."""
    found: dict[str, str] = {}
    blocks = re.findall(r"^(Args|Attributes):\n((?:[ \t]+.*\n?|\n)+)", text, re.MULTILINE)
    for _, block in sorted(blocks, key=lambda of: of[0] != "Args"):
        for names, about in re.findall(r"^ {4}([\w, ]+): ((?:.|\n {8})*)", block, re.MULTILINE):
            found = {**dict.fromkeys(names.split(", "), re.sub(r"\s+", " ", about).strip()), **found}
    return found


def _required() -> list[str]:
    return [name for name, _, default in described(Recipe) if default == "required"]


def page() -> str:
    """docs/recipes.md."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield from ("# Recipes: every key", "")
    yield "Made from the code by `python -m genkit.cli.recipe_keys > docs/recipes.md`. `genkit info NAME` says the same"
    yield "of one name, `genkit info train` of a section; `genkit train RECIPE --dry-run` checks a recipe and times it."
    for section in ("recipe", *SECTIONS, "optimizers"):
        yield from ("", f"## {section}", "")
        yield from _table(keys(section))
    for kind in KINDS:
        yield from ("", f"## {kind}, by type" if kind != "optimizers" else "## optimizers, by type")
        for name, entry in sorted(CATALOG[kind].items()):
            yield from ("", f"### {name}", "", _cell(entry.about))
            if rows := list(keys_of(catalog.load(entry.target))):
                yield ""
                yield from _table(rows)


def _table(rows: list[Key]) -> Iterator[str]:
    titles = ("key", "accepted", "default", "what it is")
    columns = [i for i in range(len(titles)) if any(row[i] for row in rows)]
    yield "| " + " | ".join(titles[i] for i in columns) + " |"
    yield "|---" * len(columns) + "|"
    for row in rows:
        cells = [f"`{row.name}`", _cell(row.accepted), _cell(row.default.removeprefix("default ")), _cell(row.about)]
        yield "| " + " | ".join(cells[i] for i in columns) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    click.echo(page(), nl=False)
