"""genkit export: weights become the files of another library."""

from __future__ import annotations

from pathlib import Path

import click

from genkit.cli.places import ABOUT_WEIGHTS, FOLDER, WEIGHTS, Writing


@click.command("export", cls=Writing, epilog=ABOUT_WEIGHTS)
@click.argument("weights", type=WEIGHTS)
@click.option("--to", "library", type=click.Choice(["diffusers"]), required=True, help="The other library.")
@click.option("--out", required=True, type=FOLDER, help="A new folder.")
def command(weights: str, library: str, out: Path) -> None:
    """Write WEIGHTS as the files of another library.

    diffusers: a ddpm becomes the folder of a pipeline that takes the same steps, with a README.md that says how to
    sample it. `genkit import diffusers/pipeline` gives the same weights back.
    """
    from genkit.core.files import new_folder
    from genkit.core.pretrained import Pretrained
    from genkit.foreign import export_pipeline

    new_folder(out)
    export_pipeline(Pretrained.from_pretrained(weights), out)  # type: ignore[arg-type]
    click.echo(f"{out}: a pipeline of {library}; {out / 'README.md'} says how to sample it")
