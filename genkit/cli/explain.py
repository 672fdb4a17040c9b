"""genkit exemplars: weights that generate by other examples, without training."""

from __future__ import annotations

from pathlib import Path

import click

from genkit.cli.places import FOLDER, INPUT, Writing
from genkit.core.errors import GenkitError


@click.command("exemplars", cls=Writing)
@click.argument("weights", type=INPUT)
@click.option(
    "--replace", type=INPUT, metavar="DATA", help="Generate by these alone: a data set's name, a folder or a zip."
)
@click.option("--extend", type=INPUT, metavar="DATA", help="Generate by these too.")
@click.option("--out", type=FOLDER, help="Folder of the new weights.")
def command(weights: str, replace: str | None, extend: str | None, out: Path | None) -> None:
    """Look at the exemplars of WEIGHTS, or write weights with others to --out.

    WEIGHTS is a weights folder, a run folder or a shipped name, of a VAE with an exemplar prior. Their means are all
    that is kept of the images, beside the name and fingerprint of the data.
    """
    from genkit.evaluation.real_data import check_data, open_data
    from genkit.vae.vae import VAE

    if (replace or extend) and out is None:
        raise GenkitError("other exemplars make other weights: say where to with --out FOLDER")
    if out is not None and not (replace or extend):
        raise GenkitError("nothing to write: give --replace DATA or --extend DATA")
    vae = VAE.from_pretrained(weights)
    for data, option in ((replace, "--replace"), (extend, "--extend")):
        if data:
            check_data(data, vae.sample_shape, option)
    exemplars = vae.exemplars
    for what, role, take in ((replace, "--replace", exemplars.replace), (extend, "--extend", exemplars.extend)):
        if what:
            data = open_data(what, vae.sample_shape, role)
            take(data)
            for line in data.remarks():
                click.echo(line)
    for origin in exemplars.origin:
        click.echo(f"{origin['items']} exemplars of {origin['data']} (fingerprint {origin['fingerprint'][:12]})")
    click.echo(f"{len(exemplars)} in all")
    if out is not None:
        vae.save_pretrained(out)
        click.echo(f"weights in {out}")
