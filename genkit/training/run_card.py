"""The card that a run leaves with its weights, from the files of its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from genkit.core.card import CardFacts, card
from genkit.core.documents import read_mapping
from genkit.core.files import write_text_atomically
from genkit.core.generator import Generator
from genkit.core.papers import papers_of
from genkit.core.versions import installed
from genkit.training.recipe import Recipe
from genkit.training.report_tables import data_tables, score_tables
from genkit.training.run_folder import RunFolder
from genkit.training.staged import StagedRecipe

USE = ("genkit sample WEIGHTS -n 64 --grid --out samples   # WEIGHTS: the folder of this file",)


def write_card(folder: RunFolder, recipe: Recipe | StagedRecipe, product: nn.Module) -> None:
    """Writes README.md of the weights: what they are, how they came to be, and how good they are.

    It tells no time, so that it is the same for a run that was stopped on the way.

    Raises:
        CheckpointError: it cannot be written.
    """
    scores = score_tables(read_mapping(folder.scores))
    last = recipe if isinstance(recipe, Recipe) else next(reversed(recipe.trainings.values()))
    size = f"{sum(p.numel() for p in product.parameters()):,}"
    versions = ", ".join(f"{name} {version}" for name, version in installed("genkit", "torch").items())
    data = data_tables(read_mapping(folder.data))["facts"]
    rows = [*data, ("parameters", size), *_trained(recipe), ("batch", f"{last.train.batch_size}")]
    rows += [("begun from", Path(folder.started_from).name)] if folder.started_from else []
    rows += [("seed", f"{last.train.seed}"), ("by", versions)]
    spec = [recipe.to_dict().get(key) for key in ("data", "system", "stages", "product")]
    values = [(name, f"{value} {error}".strip(), says) for name, value, error, says in scores["values"]]
    about = f"{recipe.description.rstrip('.')}." if recipe.description else ""
    lines = [*filter(None, [scores["floor"].rstrip(".")]), *scores["warnings"]]
    facts = CardFacts(about, USE if isinstance(product, Generator) else (), rows, values, lines, papers_of(spec))
    kind: Any = getattr(product, "config", {}).get("type", type(product).__name__)
    write_text_atomically(folder.card, card(recipe.name, str(kind).replace("_", " "), facts))


def _trained(recipe: Recipe | StagedRecipe) -> list[tuple[str, str]]:
    if isinstance(recipe, Recipe):
        return [("iterations", f"{recipe.train.steps:,}")]
    return [(f"iterations of {name}", f"{stage.train.steps:,}") for name, stage in recipe.trainings.items()]
