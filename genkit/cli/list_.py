"""genkit list: what there is, read without importing it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from genkit.cli.console import heading, table
from genkit.core import catalog

Row = tuple[str, str]


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
    """Kind -> how its (name, what it is) rows are found."""
    named = {kind: lambda kind=kind: of_catalog(kind) for kind in catalog.CATALOG}
    own = {"recipes": recipes, "weights": weights, "metrics": metrics, "extractors": extractors, "layouts": layouts}
    return {**own, **named}  # type: ignore[dict-item]


def of_catalog(kind: str) -> Iterator[Row]:
    for name, target in catalog.CATALOG[kind].items():
        yield name, first_line(target)


def recipes() -> Iterator[Row]:
    """Shipped recipes with their descriptions."""
    folder = catalog.shipped("recipes")
    for path in sorted(folder.glob("*/*.yaml")):
        yield path.relative_to(folder).with_suffix("").as_posix(), _description(path)


def _description(path: Path) -> str:
    from genkit.core.documents import read_yaml

    return " ".join(str(read_yaml(path).get("description", "")).split())


def weights() -> Iterator[Row]:
    """Shipped weights with the first sentence of their README."""
    for config in sorted(catalog.shipped("weights").glob("*/config.json")):
        readme = config.with_name("README.md")
        yield config.parent.name, _first_sentence(readme.read_text(encoding="utf-8")) if readme.is_file() else ""


def _first_sentence(text: str) -> str:
    """Of the first paragraph that is no heading."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n") if part.strip() and not part.startswith("#")]
    return re.split(r"(?<!et al)\. ", paragraphs[0])[0].rstrip(".") + "." if paragraphs else ""


def metrics() -> Iterator[Row]:
    """What `genkit evaluate` computes."""
    return _literal("evaluation/metrics_by_name.py", "METRICS")


def extractors() -> Iterator[Row]:
    """What `genkit evaluate` looks at images with."""
    return _literal("evaluation/extractors/features.py", "EXTRACTORS")


def _literal(file: str, name: str) -> Iterator[Row]:
    """The rows of a dictionary in the source: these modules need torch, listing them does not."""
    path = Path(catalog.__file__).parents[1] / file
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            yield from ast.literal_eval(node.value).items()


def layouts() -> Iterator[Row]:
    """Authors' checkpoints that `genkit import` reads."""
    from genkit.foreign import LAYOUTS

    for name, target in LAYOUTS.items():
        yield name, first_line(target)


def first_line(target: str) -> str:
    """The first sentence of what `package.module:name` says about itself, from its source."""
    module, _, name = target.partition(":")
    path = Path(catalog.__file__).parents[1].joinpath(*module.split(".")[1:]).with_suffix(".py")
    if not path.is_file():
        return ""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            text = ast.get_docstring(node) or ""
            return " ".join(text.split("\n\n")[0].split())
    return ""
