"""genkit import: an author's checkpoint becomes a weights folder."""

from __future__ import annotations

from pathlib import Path

import click

from genkit.cli.places import FOLDER, Writing


@click.command("import", cls=Writing)
@click.argument("layout")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--config", type=click.Path(path_type=Path), help="The authors' settings, JSON or YAML.")
@click.option("--out", required=True, type=FOLDER, help="A new folder, such as weights/NAME.")
@click.option("--part", help="Which state dict of the file, where it holds several: netG, model.ema, ...")
def command(layout: str, checkpoint: Path, config: Path | None, out: Path, part: str | None) -> None:
    """Write the authors' CHECKPOINT, whose tensors are named as in LAYOUT, as a weights folder.

    LAYOUT is one of `genkit list layouts`. CHECKPOINT is a safetensors file, or a PyTorch file that holds tensors only;
    of diffusers/pipeline it is the pipeline's folder, which needs no --config.
    """
    from genkit.foreign import import_checkpoint, read_settings

    settings = None if config is None else read_settings(config)
    product = import_checkpoint(layout, checkpoint, settings, out, part)
    click.echo(f"{out}: {type(product).__name__} from {layout}")
