"""genkit export: weights become the files of another library."""

from __future__ import annotations

from pathlib import Path

import click

from genkit.cli.places import ABOUT_WEIGHTS, FOLDER, WEIGHTS, Writing


@click.command("export", cls=Writing, epilog=ABOUT_WEIGHTS)
@click.argument("weights", type=WEIGHTS)
@click.option("--to", "library", type=click.Choice(["diffusers", "torch", "onnx"]), required=True, help="The library.")
@click.option("--out", required=True, type=FOLDER, help="A new folder.")
def command(weights: str, library: str, out: Path) -> None:
    """Write WEIGHTS as the files of another library, with a README.md that says how to use them.

    diffusers: a ddpm becomes the folder of a pipeline that takes the same steps. `genkit import diffusers/pipeline`
    gives the same weights back.

    torch, onnx: a generator with latents (a GAN, StyleGAN2, a VAE's decoder, one that is truncated, controlled or
    edited) becomes model.pt2 (torch.export) or model.onnx, a function of latents and conditions for any number of
    samples; of a diffusion model it is the denoiser. The file is compared with the generator before it is left.
    """
    from genkit.core.errors import kind_of
    from genkit.core.files import new_folder
    from genkit.core.generator import Generator
    from genkit.core.pretrained import Pretrained
    from genkit.foreign import check_packages, export_graph, export_pipeline

    new_folder(out)
    if library == "diffusers":
        export_pipeline(Pretrained.from_pretrained(weights), out)  # type: ignore[arg-type]
        click.echo(f"{out}: a pipeline of {library}; {out / 'README.md'} says how to sample it")
        return
    check_packages(library)
    generator = Generator.from_pretrained(weights)
    difference = export_graph(generator, library, out)
    click.echo(
        f"{out}: {kind_of(generator)} for {library}, which differs from it by {difference:.1g} at most; "
        f"{out / 'README.md'} says what it takes"
    )
