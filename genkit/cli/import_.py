"""genkit import: an author's checkpoint becomes a weights folder."""

from __future__ import annotations

from pathlib import Path

import click

from genkit.cli.places import FOLDER, Writing


@click.command("import", cls=Writing)
@click.argument("layout")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="[--FLAG VALUE]...")
@click.option("--config", type=click.Path(path_type=Path), help="Arguments of the authors' constructors, JSON or YAML.")
@click.option("--settings", type=click.Path(path_type=Path), help="Flags of OpenAI's scripts, JSON or YAML.")
@click.option("--out", required=True, type=FOLDER, help="A new folder, such as weights/NAME.")
@click.option("--part", help="State dict in the file, if it holds several: netG, model.ema, ...")
def command(
    layout: str,
    checkpoint: Path,
    flags: tuple[str, ...],
    config: Path | None,
    settings: Path | None,
    out: Path,
    part: str | None,
) -> None:
    """Write the authors' CHECKPOINT, whose tensors are named as in LAYOUT, as a weights folder.

    LAYOUT is one of `genkit list layouts`. CHECKPOINT is a safetensors file, or a PyTorch file that holds tensors only;
    of diffusers/pipeline it is the pipeline's folder, which needs no --config.

    --config has the arguments of the authors' constructors; --settings the flags of the scripts of guided-diffusion and
    improved-diffusion, with their names and defaults: image_size, num_channels, class_cond, classifier_width, ... These
    may also stand on the line, as their READMEs print them: --num_channels 192 --class_cond True ... `genkit info
    LAYOUT` shows an example of such a file.
    """
    from genkit.core.errors import GenkitError
    from genkit.foreign import from_command_line, from_flags, import_checkpoint, read_settings

    if config and settings:
        raise GenkitError("--config has a constructor's arguments, --settings a script's flags; give one of them")
    if flags and (config or settings):
        raise GenkitError(f"{flags[0]} is a flag of the authors' scripts, and so is what a file says; give one of them")
    given = read_settings(config) if config else from_flags(layout, read_settings(settings)) if settings else None
    if flags:
        given, passed = from_command_line(layout, flags)
        if passed:
            click.echo(f"passed over, not of this network: {', '.join(passed)}")
    product = import_checkpoint(layout, checkpoint, given, out, part)
    click.echo(f"{out}: {type(product).__name__} from {layout}")


command.ignore_unknown_options = True  # those of the authors, which `flags` takes
