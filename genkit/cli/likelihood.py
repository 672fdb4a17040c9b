"""genkit evaluate --metrics likelihood: how probable a generator finds real data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.console import display, heading, progress, table, warn
from genkit.cli.launch import crew_of_launch, join_launch
from genkit.cli.places import loaded
from genkit.cli.result_file import write_json
from genkit.core.display import rows_watched

if TYPE_CHECKING:
    from genkit.evaluation.likelihood import Likelihoods


ABOUT = """Tell how likely images are to A, a VAE or diffusion model, in nats and bits.

It is short for 'genkit evaluate A --metrics likelihood'.

\b
genkit likelihood fashion-mnist-ddpm --against fashion_mnist/test -n 100
"""


def score(
    weights: str,
    against: str,
    n: int = 1000,
    seed: int = 0,
    batch_size: int = 16,
    json_path: Path | None = None,
    skip_bad: bool = False,
    **settings: Any,
) -> None:
    """The table of one generator on real data, and the same as JSON.

    With the same seed different weights are scored on the very same images.
    """
    from genkit.core.generator import Generator
    from genkit.diffusion.diffusion_generator import DiffusionGenerator
    from genkit.evaluation.likelihood import log_likelihood

    join_launch()
    generator, crew = loaded(Generator, weights), crew_of_launch()
    if "steps" in settings and isinstance(generator, DiffusionGenerator):
        generator.process.with_settings(kept=settings["steps"])
    with (
        display() as shown,
        rows_watched(progress(shown, "likelihood", "sample"), generator, n, batch_size) as rows,
    ):
        reading: Any = {"role": "--against", "skip_bad": skip_bad, "crew": crew}
        found = log_likelihood(generator, against, n, seed, batch_size, rows, **reading, **settings)
    if crew.rank:
        return
    show(weights, found)
    if json_path:
        write_json(json_path, found.to_json(), a=(weights, generator))


def show(weights: str, found: Likelihoods) -> None:
    """Prints the table, the settings behind its numbers, and warnings."""
    click.echo(heading(f"log-likelihood of {found.data} under {weights}"))
    click.echo(table(list(_rows(found)), ("", "mean", "standard error")))
    click.echo(_basis(found))
    warn(found.warnings)


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
