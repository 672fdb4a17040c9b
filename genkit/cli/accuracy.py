"""genkit evaluate --metrics accuracy: how often a classifier is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from genkit.cli.console import display, heading, progress, table, warn
from genkit.cli.launch import crew_of_launch, join_launch
from genkit.cli.places import loaded
from genkit.cli.result_file import write_json

MANY = 20
"""Most classes that are listed."""


def score(
    weights: str,
    against: str,
    n: int = 10_000,
    seed: int = 0,
    json_path: Path | None = None,
    skip_bad: bool = False,
) -> None:
    """The table of one classifier on labelled data, and the same as JSON."""
    from genkit.evaluation import accuracy
    from genkit.evaluation.classification import Classifying
    from genkit.evaluation.real_data import open_data

    join_launch()
    product, crew = loaded(Classifying, weights, "; accuracy is of classifiers"), crew_of_launch()
    data = open_data(against, tuple(product.sample_shape), "--against", skip_bad)
    with display() as shown:
        found = accuracy(product, data, n, seed, progress(shown, "classifying", "image"), crew)
    if crew.rank:
        return
    _show(f"{weights} on {data.name}", found)
    warn([*found["warnings"], *data.remarks()])
    if json_path:
        write_json(json_path, found, a=(weights, product))


def _show(title: str, found: dict[str, Any]) -> None:
    errors = {name: "" if error is None else f"{error:.2g}" for name, error in found["standard_errors"].items()}
    rows = [(name, f"{value:.4f}", errors[name], found["better"][name]) for name, value in found["values"].items()]
    click.echo(heading(title))
    click.echo(table(rows, ("score", "value", "standard error", "better")))
    guess = f"always naming the commonest class would get {found['commonest']:.4f}"
    click.echo(f"mean over classes {found['balanced']:.4f}; {guess}")
    right, n = found["classes"]["right"], found["classes"]["n"]
    worst = sorted(right, key=right.__getitem__)[:MANY]
    each = [(name, f"{right[name]:.4f}", str(n[name])) for name in right if name in worst]
    click.echo(table(each, ("class", "told right", "images")))
    if len(right) > MANY:
        click.echo(f"the {MANY} of {len(right):,} classes that are told worst; --json FILE has them all")
    click.echo(f"n = {found['against']['n']}, seed {found['seed']}, {found['seconds']:.1f} s")
