"""genkit likelihood: how probable weights find real data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.console import display, heading, progress, table
from genkit.cli.places import FILE, INPUT, Writing

if TYPE_CHECKING:
    from genkit.cli.console import Display
    from genkit.core.generator import Generator
    from genkit.evaluation.likelihood import Likelihoods


@click.command("likelihood", cls=Writing)
@click.argument("weights", type=INPUT)
@click.option(
    "--against", type=INPUT, required=True, help="Real data: a data set's name, such as mnist/test, a folder or a zip."
)
@click.option("-n", "n", type=click.IntRange(min=1), default=1000, show_default=True, help="Rows of it.")
@click.option("--samples", type=click.IntRange(min=1), help="VAE: latents for each row; 100 if not given.")
@click.option(
    "--nearest", type=click.IntRange(min=1), help="VAE: only the nearest exemplars; faster, and a looser bound."
)
@click.option("--steps", help="Diffusion: steps of the process that are kept, e.g. 50; all if not given.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of rows and noise.")
@click.option("--json", "json_path", type=FILE, help="Also write everything to this file.")
@click.option("--batch-size", type=click.IntRange(min=1), default=16, show_default=True, help="Changes speed alone.")
def command(
    weights: str, against: str, n: int, seed: int, json_path: Path | None, batch_size: int, **settings: Any
) -> None:
    """Log-likelihood that WEIGHTS give to real data, in nats and bits per dimension: a bound, and the line says which.

    WEIGHTS is a weights folder, a run folder or a shipped name, of a VAE or a diffusion model. With the same seed
    different weights are scored on the very same images.
    """
    import torch

    from genkit.core.generator import Generator
    from genkit.diffusion.diffusion_generator import DiffusionGenerator
    from genkit.evaluation.likelihood import log_likelihood

    generator = Generator.from_pretrained(weights)
    generator.to("cuda" if torch.cuda.is_available() else "cpu")
    given = {name: value for name, value in settings.items() if value is not None}
    if "steps" in given and isinstance(generator, DiffusionGenerator):
        generator.process.with_settings(kept=given["steps"])
    with display() as shown:
        tell = _Steps(shown, generator, n, batch_size)
        found = log_likelihood(generator, against, n, seed, batch_size, tell.rows, **given)
    show(weights, found)
    if json_path:
        from genkit.cli.evaluate import write_json

        write_json(json_path, found)


class _Steps:
    """Progress that also counts the steps of a diffusion, as parts of its batch."""

    def __init__(self, shown: Display, generator: Generator, n: int, batch_size: int):
        self.tell, self.done, self.n, self.batch_size = progress(shown, "likelihood", "sample"), 0, n, batch_size
        if hasattr(generator, "watch"):
            generator.watch = self.steps  # type: ignore[assignment]

    def rows(self, done: int, total: int) -> None:
        self.done, self.n = done, total
        self.tell(done, total)

    def steps(self, i: int, steps: int) -> None:
        if i < steps:
            self.tell(self.done + min(self.batch_size, self.n - self.done) * i // steps, self.n)


def show(weights: str, found: Likelihoods) -> None:
    """The table, what the numbers depend on, and warnings."""
    from rich.console import Console

    console = Console(highlight=False)
    click.echo(heading(f"log-likelihood of {found.data} under {weights}"))
    click.echo(table(list(_rows(found)), ("", "mean", "standard error")))
    console.print(_basis(found), markup=False)
    for warning in found.warnings:
        console.print(f"warning: {warning}", markup=False, style="yellow")


def _rows(found: Likelihoods) -> Iterator[tuple[str, str, str]]:
    from genkit.evaluation.likelihood import standard_error

    columns = {"nats": found.nats, "bits per dimension": found.bits_per_dim, **found.parts}
    for name, values in columns.items():
        error = standard_error(values)
        yield name, f"{values.mean():.6g}", "" if error is None else f"{error:.2g}"


def _basis(found: Likelihoods) -> str:
    spread = [f"{name.replace('_', ' ')} {values.mean():.3g}" for name, values in found.spread.items()]
    seen = ["binarised once"] if found.binarised else []
    parts = [found.bound, *spread, f"n = {len(found.nats)}", *seen, f"seed {found.seed}", f"{found.seconds:.1f} s"]
    return ", ".join(parts)
