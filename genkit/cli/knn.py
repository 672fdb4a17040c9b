"""genkit knn: labels from nearest neighbours among latents."""

from __future__ import annotations

from pathlib import Path

import click

from genkit.cli.console import display, heading, progress, table
from genkit.cli.places import FILE, INPUT, Writing
from genkit.core.errors import GenkitError, shown


@click.command("knn", cls=Writing)
@click.argument("weights", type=INPUT)
@click.option(
    "--train", type=INPUT, required=True, help="Labelled data to compare with: a data set's name, a folder or a zip."
)
@click.option("--test", type=INPUT, required=True, help="Labelled data to classify, all of it.")
@click.option("-k", "k", default="1,5,9,15", show_default=True, help="Numbers of neighbours, with commas.")
@click.option("--json", "json_path", type=FILE, help="Also write everything to this file.")
def command(weights: str, train: str, test: str, k: str, json_path: Path | None) -> None:
    """Classify TEST by the nearest latents of TRAIN, as WEIGHTS encode them; says how good the features are.

    WEIGHTS is a weights folder, a run folder or a shipped name, of a VAE.
    """
    import torch

    from genkit.core.generator import Generator
    from genkit.evaluation.latent_neighbours import latent_knn

    numbers = _numbers(k)
    generator = Generator.from_pretrained(weights)
    generator.to("cuda" if torch.cuda.is_available() else "cpu")
    with display() as shown:
        tell = progress(shown, "encoding", "image")
        found = latent_knn(generator, train, test, numbers, tell)  # type: ignore[arg-type]
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
    for warning in found.warnings:
        click.echo(f"warning: {warning}")
    if json_path:
        from genkit.cli.evaluate import write_json

        write_json(json_path, found)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise GenkitError(f"-k takes whole numbers with commas, such as 1,5,9, got {shown(text)}") from None
