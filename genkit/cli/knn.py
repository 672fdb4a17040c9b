"""genkit evaluate --metrics knn: labels from nearest neighbours among latents."""

from __future__ import annotations

from pathlib import Path

import click

from genkit.cli.console import display, heading, progress, table, warn
from genkit.cli.launch import crew_of_launch, join_launch
from genkit.cli.places import loaded
from genkit.cli.result_file import write_json
from genkit.core.errors import GenkitError, shown

ABOUT = """Classify labelled images by the nearest latents of A, a VAE.

It is short for 'genkit evaluate A --metrics knn'.

\b
genkit knn fashion-mnist-exemplar-vae --train fashion_mnist/train --against fashion_mnist/test
"""


def score(
    weights: str,
    test: str,
    train: str | None = None,
    k: str = "1,5,9,15",
    json_path: Path | None = None,
    skip_bad: bool = False,
) -> None:
    """Classifies TEST by the nearest latents of TRAIN, as WEIGHTS encode them: a measure of the features."""
    from genkit.core.generator import Generator
    from genkit.evaluation.latent_neighbours import latent_knn

    numbers = _numbers(k)
    if train is None:
        raise GenkitError("--metrics knn compares with labelled data: give --train DATA")
    join_launch()
    generator, crew = loaded(Generator, weights), crew_of_launch()
    with display() as shown:
        tell = progress(shown, "encoding", "image")
        found = latent_knn(generator, train, test, numbers, tell, skip_bad, crew)
    if crew.rank:
        return
    rows = [
        (neighbours, f"{100 * share:.2f}", f"{100 * found.standard_error(neighbours):.2f}")
        for neighbours, share in found.accuracy.items()
    ]
    click.echo(heading(f"{found.test['name']} by the nearest latents of {found.train['name']}, {weights}"))
    click.echo(table(rows, ("k", "right, %", "standard error")))
    click.echo(
        f"{found.active} of {found.dims} latent dimensions are active, n = {found.train['n']} and {found.test['n']}, "
        f"{found.seconds:.1f} s"
    )
    warn(found.warnings)
    if json_path:
        write_json(json_path, found.to_json(), a=(weights, generator))


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise GenkitError(f"-k takes whole numbers with commas, such as 1,5,9, got {shown(text)}") from None
