"""genkit pull: weights of the Hugging Face Hub become a folder."""

from __future__ import annotations

from pathlib import Path

import click

from genkit.cli.places import FOLDER, Writing


@click.command("pull", cls=Writing)
@click.argument("repository")
@click.option("--out", type=FOLDER, help="A new folder.  [default: name]")
def command(repository: str, out: Path | None) -> None:
    """Copy the weights owner/name of the Hugging Face Hub, or their revision owner/name@revision, to a folder.

    Only safetensors, JSON and README.md are downloaded, so that nothing there can run code. Private repositories are
    opened by the token of huggingface_hub: 'hf auth login', or HF_TOKEN. Commands that take WEIGHTS take owner/name
    too.
    """
    from genkit.core.files import new_folder
    from genkit.core.hub import check_id, pull

    check_id(repository)
    folder = new_folder(out or Path(repository.partition("@")[0].partition("/")[2]))
    pull(repository, folder)
    click.echo(f"{folder}: weights of {repository}")
