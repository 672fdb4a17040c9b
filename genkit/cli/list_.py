"""genkit list: names of recipes, weights, metrics and all other kinds, found without importing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import click

from genkit.cli.console import heading, table
from genkit.core.catalog import BENCHES, shipped
from genkit.core.table import CATALOG, load_plugins

Row = tuple[str, ...]
"""A name and what it is; of weights what their card says of their score stands between."""


@click.command("list")
@click.argument("kind", required=False)
def command(kind: str | None) -> None:
    """List one KIND, or everything: recipes, weights, layouts, data, systems, techniques, metrics and more."""
    from genkit.core.errors import GenkitError, shown, suggest

    listings = kinds()
    if kind is not None and kind not in listings:
        raise GenkitError(f"nothing is called {shown(kind)} here{suggest(kind, listings)}")
    for name in [kind] if kind else listings:
        if kind is None:
            click.echo(heading(name))
        click.echo(table(list(listings[name]()), indent="" if kind else "  "))


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
