"""genkit evaluate --metrics accuracy: how often a classifier is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from genkit.cli.console import display, heading, progress, table
from genkit.core.errors import GenkitError


def command(weights: str, against: str, n: int, seed: int, json_path: Path | None) -> None:
    """The table of one classifier on labelled data, and the same as JSON."""
    import torch

    from genkit.core.pretrained import Pretrained
    from genkit.evaluation import accuracy
    from genkit.evaluation.real_data import open_data

    product: Any = Pretrained.from_pretrained(weights)
    if not _classifies(product):
        raise GenkitError(f"{weights} holds a {type(product).__name__}; accuracy is of classifiers")
    product.to("cuda" if torch.cuda.is_available() else "cpu")
    data = open_data(against, tuple(product.sample_shape), "--against")
    with display() as shown:
        found = accuracy(product, data, n, seed, progress(shown, "classifying", "image"))
    _show(f"{weights} on {data.name}", found)
    for line in data.remarks():
        click.echo(f"warning: {line}")
    if json_path:
        import json

        from genkit.core.files import write_atomically

        write_atomically(json_path, (json.dumps(found, indent=2) + "\n").encode())
        click.echo(f"written to {json_path}")


def _classifies(product: object) -> bool:
    from genkit.core.classifying import Classifying

    return isinstance(product, Classifying)


def _show(title: str, found: dict[str, Any]) -> None:
    rows = [
        (name, f"{value:.4f}", f"{found['standard_errors'][name]:.2g}", found["better"][name])
        for name, value in found["values"].items()
    ]
    click.echo(heading(title))
    click.echo(table(rows, ("score", "value", "standard error", "better")))
    click.echo(f"n = {found['against']['n']}, seed {found['seed']}, {found['seconds']:.1f} s")
