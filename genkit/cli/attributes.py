"""genkit evaluate --metrics attributes: how well a predictor reads what is known of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from genkit.cli.console import display, heading, progress, table, warn
from genkit.cli.launch import crew_of_launch, join_launch
from genkit.cli.places import loaded
from genkit.cli.result_file import write_json
from genkit.core.errors import GenkitError, kind_of


def score(
    weights: str,
    against: str,
    n: int = 10_000,
    seed: int = 0,
    json_path: Path | None = None,
    skip_bad: bool = False,
) -> None:
    """The table of one predictor on data with attributes, and the same as JSON."""
    from genkit.evaluation.attributes import attribute_errors
    from genkit.evaluation.real_data import open_data

    join_launch()
    predictor, crew = predicting(weights), crew_of_launch()
    data = open_data(against, tuple(predictor.sample_shape), "--against", skip_bad)
    with display() as shown:
        found = attribute_errors(predictor, data, n, seed, progress(shown, "predicting", "image"), crew)
    if crew.rank:
        return
    rows = [
        (found["labels"][name], f"{value:.4g}", f"{found['standard_errors'][name]:.2g}", found["in words"][name])
        for name, value in found["values"].items()
    ]
    click.echo(heading(f"{weights} on {data.name}"))
    click.echo(table(rows, ("attribute", "value", "standard error", "that is")))
    click.echo(f"n = {found['against']['n']}, seed {found['seed']}, {found['seconds']:.1f} s")
    warn(data.remarks())
    if json_path:
        write_json(json_path, found, a=(weights, predictor))


def predicting(weights: str, held: Any = None) -> Any:
    """The predictor in `weights`, which is `held` where they were read before.

    Raises:
        GenkitError: they hold something else.
    """
    from genkit.core.pretrained import Pretrained
    from genkit.evaluation.attributes import Predicting

    product: Any = held or loaded(Pretrained, weights)
    if not isinstance(product, Predicting):
        raise GenkitError(f"{weights} holds {kind_of(product)}; attributes are read by a predictor of them")
    return product
