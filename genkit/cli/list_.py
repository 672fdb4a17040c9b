"""genkit list: names of recipes, weights, metrics and all other kinds, found without importing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import click

from genkit.cli.console import table
from genkit.core.catalog import BENCHES, shipped
from genkit.core.table import CATALOG, load_plugins

Row = tuple[str, ...]
"""A name and what it is; of weights what their card says of their score stands between."""

ABOUT = {
    "recipes": "trainings that are described and can be run: genkit train NAME",
    "weights": "what was trained and is shipped: generators, genkit sample NAME, and classifiers",
    "metrics": "scores: genkit evaluate --metrics NAME",
    "extractors": "networks whose features are compared: genkit evaluate --extractor NAME",
    "layouts": "checkpoints of others: genkit import NAME",
    "generators": "what makes samples; of recipes and of weights",
    "systems": "what is trained, and how: the type of a recipe's system",
    "networks": "generators', critics', encoders', denoisers' and classifiers'",
    "vae": "priors, likelihoods and posteriors of variational autoencoders",
    "diffusion": "schedules, solvers, losses and guidance of diffusion models",
    "techniques": "what a GAN's training is composed of: losses, penalties, weightings, augmentations",
    "optimizers": "optimizers and schedules of their rates",
    "data": "data sets: genkit new NAME, genkit train RECIPE data.type=NAME",
    "columns": "what is known of a sample, such as its label",
}
"""Kind -> a line about it."""


@click.command("list")
@click.argument("kind", required=False)
def command(kind: str | None) -> None:
    """List the names of one KIND, such as recipes, weights, data or metrics; without one, the kinds."""
    from genkit.core.errors import GenkitError, shown, suggest

    listings = kinds()
    if kind is not None and kind not in listings:
        raise GenkitError(f"nothing is called {shown(kind)} here{suggest(kind, listings)}")
    if kind:
        click.echo(table(list(listings[kind]())))
        return
    click.echo(table([(name, sum(1 for _ in rows()), ABOUT[name]) for name, rows in listings.items()]))
    click.echo("\nthe names of one kind, each with a line: genkit list KIND; all of one name: genkit info NAME")


def kinds() -> dict[str, Callable[[], Iterator[Row]]]:
    """Kind -> function that yields its rows, from the name to the description; names of installed packages included."""
    load_plugins()
    return {"recipes": recipes, "weights": weights, **{kind: partial(_entries, kind) for kind in CATALOG}}


def _entries(kind: str) -> Iterator[Row]:
    for name, entry in CATALOG[kind].items():
        yield name, entry.about or entry.target


def recipes() -> Iterator[Row]:
    """Shipped recipes with their descriptions."""
    folder = shipped("recipes")
    for path in sorted(folder.glob("*/*.yaml")):
        if path.parent.name != BENCHES:
            yield path.relative_to(folder).with_suffix("").as_posix(), _description(path)


def _description(path: Path) -> str:
    from genkit.core.documents import read_yaml

    return " ".join(str(read_yaml(path).get("description", "")).split())


def weights() -> Iterator[Row]:
    """Shipped weights with the score on their card and its first sentence."""
    from genkit.core.card_header import card_of, first_sentence

    for config in sorted(shipped("weights").glob("*/config.json")):
        header, body = card_of(config.parent)
        yield config.parent.name, str(header.get("score", "")), first_sentence(body)
