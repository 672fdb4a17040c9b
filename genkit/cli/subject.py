"""The subject X of `genkit info X` and `genkit cite X`."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genkit.cli.list_ import kinds
from genkit.core import catalog
from genkit.core.card_header import card_of
from genkit.core.documents import Unreadable, read_json, read_mapping, unknown_as_nan
from genkit.core.errors import GenkitError, shown, suggest, suggest_file
from genkit.core.papers import mentioned, papers_of
from genkit.core.table import lookup

if TYPE_CHECKING:
    from genkit.training.recipe import Recipe
    from genkit.training.staged import StagedRecipe


@dataclass(frozen=True)
class Subject:
    """Something that can be explained and cited.

    Attributes:
        kind: a run holds a recipe and perhaps weights; a name is one of the catalog, a metric, extractor or layout.
        name: as the user wrote it.
        path: the run's folder, the weights' folder or the recipe's file.
        spec: `{type: name, **arguments}`, a list of these, or a name.
        about: text of the weights' README.md, which cites papers that their config does not show.
    """

    kind: Literal["run", "weights", "recipe", "name"]
    name: str
    spec: Any
    path: Path | None = None
    about: str = ""

    @property
    def papers(self) -> list[str]:
        """Keys of the papers behind it."""
        return list(dict.fromkeys([*papers_of(self.spec), *mentioned(self.about)]))


def find_subject(text: str) -> Subject:
    """A run folder, weights, a recipe or a name of the catalog: the first of these that `text` is.

    Raises:
        GenkitError: it is none of them, with the nearest that there is.
    """
    for attempt in _ATTEMPTS:
        if found := attempt(text):
            return found
    if text in kinds():
        raise GenkitError(f"{shown(text)} is a kind of names, which 'genkit list {text}' shows")
    if Path(text).is_dir():
        of_images = f"of images 'genkit new {shlex.quote(text)}' writes a recipe"
        raise GenkitError(f"{shown(text)} is a folder, and neither a run nor weights; {of_images}")
    near = suggest_file(text) or suggest(text, (name for rows in kinds().values() for name, *_ in rows()))
    hint = near if "did you mean" in near else ""
    raise GenkitError(f"{shown(text)} is no run folder, weights folder, recipe or name from genkit list{hint}")


def _run(text: str) -> Subject | None:
    path = Path(text)
    if not (path / "recipe.yaml").is_file():
        return None
    return Subject("run", text, cited(load_recipe(path / "recipe.yaml")), path)


def _weights(text: str) -> Subject | None:
    for folder in (Path(text), catalog.shipped("weights") / text):
        if (folder / "config.json").is_file():
            try:
                config = read_json(folder / "config.json")
                spec = {k: v for k, v in config.items() if k != "class_names"} if isinstance(config, dict) else config
                return Subject("weights", text, spec, folder, card_of(folder)[1].strip())
            except Unreadable as damage:
                raise GenkitError(f"{folder / 'config.json'} cannot be read as JSON ({damage})") from damage
    return None


def _recipe(text: str) -> Subject | None:
    recipes = catalog.shipped("recipes")
    for path in (Path(text), recipes / f"{text}.yaml", recipes / text):
        if path.is_file():
            return Subject("recipe", text, cited(load_recipe(path)), path)
    return None


def _name(text: str) -> Subject | None:
    return Subject("name", text, text) if lookup(text) or papers_of(text) else None


_ATTEMPTS: tuple[Callable[[str], Subject | None], ...] = (_run, _weights, _recipe, _name)


def read_values(path: Path) -> dict[str, float]:
    """The scores in a scores.json by name; none where there is no such file or it is damaged."""
    values = read_mapping(path).get("values")
    found = unknown_as_nan(values) if isinstance(values, dict) else {}
    return {name: float(value) for name, value in found.items() if isinstance(value, (int, float))}


def load_recipe(path: Path) -> Recipe | StagedRecipe:
    from genkit.training import staged

    return staged.load_recipe(path)


def cited(recipe: Recipe | StagedRecipe) -> list[Any]:
    """Everything in a recipe that papers may stand behind."""
    from genkit.training.recipe import Recipe

    scored = recipe.evaluate
    metrics = [*scored.metrics, *([scored.extractor] if scored.extractor else [])] if scored else []
    if isinstance(recipe, Recipe):
        return [recipe.data, recipe.system, *recipe.optimizers.values(), *metrics]
    return [*(spec for stage in recipe.trainings.values() for spec in cited(stage)), recipe.product, *metrics]
