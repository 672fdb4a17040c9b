"""genkit explain of an exemplar VAE: by which examples it generates, and which of them stand behind an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from genkit.cli.console import heading, table
from genkit.cli.result_file import write_json

if TYPE_CHECKING:
    from genkit.vae.exemplar_explanation import ExemplarExplanation
    from genkit.vae.vae import VAE


def explain(weights: str, image: Path | None, n: int | None, grid: Path | None, json_path: Path | None) -> None:
    """Tells the data by which WEIGHTS of an exemplar VAE generate, and the exemplars behind IMAGE, nearest first."""
    from genkit.core.errors import GenkitError
    from genkit.vae.vae import VAE

    if image is None and (n or grid or json_path):
        raise GenkitError("-n, --grid and --json are of an IMAGE: give one")
    vae = VAE.from_pretrained(weights)
    if image is None:
        tell_exemplars(vae)
        return
    from genkit.cli.given_images import read_image
    from genkit.vae.exemplar_explanation import explained

    given = read_image(image, vae)
    found = explained(vae, given, min(n or 8, len(vae.exemplars)))
    _show(f"{image}, exemplars of {weights}", found)
    if grid:
        _draw(grid, found)
    if json_path:
        write_json(json_path, found.to_json(), a=(weights, vae))


def tell_exemplars(vae: VAE) -> None:
    """Lines with the data that the exemplars came from, and their number."""
    for origin in vae.exemplars.origin:
        click.echo(f"{origin['items']} exemplars of {origin['data']} (fingerprint {origin['fingerprint'][:12]})")
    click.echo(f"{len(vae.exemplars)} in all")


def _show(title: str, found: ExemplarExplanation) -> None:
    columns = zip(found.rows, found.shares.tolist(), found.distances.tolist(), strict=True)
    rows = [(data, row, f"{100 * share:.2f}", f"{distance:.4g}") for (data, row), share, distance in columns]
    click.echo(heading(title))
    click.echo(table(rows, ("data", "exemplar", "share of the prior, %", "distance")))


def _draw(path: Path, found: ExemplarExplanation) -> None:
    import torch

    from genkit.images.grid import grid
    from genkit.images.pixels import write_png

    write_png(path, grid(torch.cat([found.image[None], found.pictures])))
    click.echo(f"the image and one generated from each exemplar in {path}")
